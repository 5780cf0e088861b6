"""The paths of fields in sampled documents, and the nearest of them to a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Set

from bson import decode

from dataworks_tasks.documents.raw_bson import elements

_DOCUMENT, _ARRAY = 0x03, 0x04
_MOST_PATHS = 20_000
"""A bound, because documents may have data in the names of their fields."""
_MOST_SHOWN = 3
_CLOSE = 0.6


def field_paths(documents: Iterable[bytes]) -> frozenset[str]:
    """Return every dotted path in the documents; paths through arrays as in queries and rules."""
    found: set[str] = set()
    for document in documents:
        found.update(_paths(document, None))
        if len(found) > _MOST_PATHS:
            break
    return frozenset(found)


def _paths(document: bytes, parent: str | None, array: bool = False) -> Iterator[str]:
    """Yield the paths below ``parent``; the members of an array have the array's own path."""
    for element in elements(document):
        name = element.name.decode(errors="replace")
        path = parent if array else name if parent is None else f"{parent}.{name}"
        if path is not None and not array:
            yield path
        if element.type in (_DOCUMENT, _ARRAY):
            yield from _paths(element.value, path, element.type == _ARRAY)


def is_known_path(paths: Set[str], path: str) -> bool:
    """Return whether ``path`` is one of ``paths``; a query may name an array member by number."""
    return path in paths or _without_numbers(path) in paths


def _without_numbers(path: str) -> str:
    return ".".join(part for part in path.split(".") if not part.isdigit())


def nearest_paths(path: str, paths: Set[str], cutoff: float = _CLOSE) -> list[str]:
    """Return the paths that ``path`` may be a misspelling of, the likeliest first.

    Paths that differ in case or in their parents come first, then names with nearly the same
    letters.
    """
    known = sorted(paths)
    folded, leaf = path.casefold(), path.rpartition(".")[2].casefold()
    same = [name for name in known if name.casefold() == folded and name != path]
    elsewhere = [
        name
        for name in known
        if name.rpartition(".")[2].casefold() == leaf and name not in (*same, path)
    ]
    alike = difflib.get_close_matches(path, known, n=3, cutoff=cutoff)
    leaves = {name.rpartition(".")[2]: name for name in known}
    close = difflib.get_close_matches(path.rpartition(".")[2], sorted(leaves), 3, max(cutoff, 0.75))
    whole = [name for name in (_without_numbers(path),) if name in paths]
    chosen = dict.fromkeys([*whole, *same, *elsewhere, *alike, *(leaves[name] for name in close)])
    chosen.pop(path, None)
    return list(chosen)[:_MOST_SHOWN]


def query_paths(query: bytes) -> tuple[str, ...]:
    """Return the fields that a filter uses, also in ``$and``, ``$or``, ``$expr`` and the like."""
    return tuple(dict.fromkeys(_asked(decode(query))))


def _asked(query: object, prefix: str = "") -> Iterator[str]:
    if isinstance(query, list):
        for item in query:
            yield from _asked(item, prefix)
    elif isinstance(query, dict):
        for name, value in query.items():
            yield from _asked_by(str(name), value, prefix)


def _asked_by(name: str, value: object, prefix: str) -> Iterator[str]:
    if name == "$expr":
        yield from _expression_fields(value)
    elif name in ("$and", "$or", "$nor", "$not"):
        yield from _asked(value, prefix)
    elif name == "$elemMatch":
        yield from _asked(value, prefix and f"{prefix}.")
    elif not name.startswith("$"):
        path = f"{prefix}{name}"
        yield path
        operators = isinstance(value, dict) and any(str(key).startswith("$") for key in value)
        if operators:
            yield from (
                item
                for key, inner in value.items()  # type: ignore[attr-defined]
                if key in ("$not", "$elemMatch")
                for item in _asked_by(key, inner, path)
            )


def _expression_fields(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith("$") and not value.startswith("$$"):
            yield value[1:]
        elif value.startswith(("$$ROOT.", "$$CURRENT.")):
            yield value.partition(".")[2]
    elif isinstance(value, list):
        for item in value:
            yield from _expression_fields(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name != "$literal":
                yield from _expression_fields(item)
