"""Fields whose spelling is close to that of a masked or dropped one, and that no rule names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dataworks_tasks.runs.spec import Transform
from producer.sampling.field_paths import field_paths


class SimilarField(NamedTuple):
    """A field of ``documents`` documents that a rule for ``named`` may have been meant for."""

    path: str
    named: str
    documents: int


def similar_fields(transform: Transform, documents: Iterable[bytes]) -> Iterator[SimilarField]:
    """Return fields like ``Email``, ``e_mail`` or ``e-mail`` beside a mask or drop of ``email``.

    Names are exact: such a field is copied unchanged.
    """
    removed = [*(path for path, _ in transform.mask), *transform.drop]
    named = {*removed, *(old for old, _ in transform.rename)}
    by_spelling = {_spelling(path): path for path in reversed(removed)}
    if not by_spelling:
        return
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for document in documents:
        for path in field_paths([document]):
            like = by_spelling.get(_spelling(path))
            if like is not None and path not in named:
                found[like][path] += 1
    for like in dict.fromkeys(removed):
        for path, count in sorted(found[like].items()):
            yield SimilarField(path, like, count)


def _spelling(path: str) -> str:
    return "".join(letter for letter in path.casefold() if letter.isalnum() or letter == ".")
