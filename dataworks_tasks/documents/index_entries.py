"""The entries that an index has for documents: how many, and how long their keys are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dataworks_tasks.documents.raw_bson import Element, elements

_DOCUMENT, _ARRAY, _STRING = 0x03, 0x04, 0x02
_HASH_BYTES = 8
_WORD_BYTES = 7
"""For each word of a text, with its separator."""
_WILDCARD = "$**"


class EntriesPerDocument(NamedTuple):
    """The average number of entries of one index for a document, and the bytes of their keys."""

    entries: float
    key_bytes: float


def entries_per_document(
    index: Mapping[str, Any], documents: Sequence[bytes]
) -> EntriesPerDocument:
    """Count what ``index``, as ``createIndexes`` takes it, would hold of sampled ``documents``.

    A partial index counts as one over all documents.
    """
    counted = [_entries(index, document) for document in documents]
    if not counted:
        return EntriesPerDocument(1.0, 0.0)
    return EntriesPerDocument(
        *(sum(column) / len(counted) for column in zip(*counted, strict=True))
    )


def _entries(index: Mapping[str, Any], document: bytes) -> tuple[float, float]:
    entries, size, is_missing = 1.0, 0.0, True
    for path, kind in index["key"].items():
        sizes = _sizes(kind, _values(path, document))
        if sizes:
            is_missing = False
            entries = max(entries, len(sizes))
            size += sum(sizes) / len(sizes)
    if is_missing and index.get("sparse"):
        return 0.0, 0.0
    return entries, entries * size


def _sizes(kind: Any, values: Sequence[Element]) -> list[int]:
    """Return the length of each key that one field of an index has for these values."""
    if kind == "hashed":
        return [_HASH_BYTES] * len(values)
    if kind == "text":
        words = sum(len(value.value) // _WORD_BYTES for value in values if value.type == _STRING)
        return [_WORD_BYTES] * words
    return [len(value.value) for value in values]


def _values(path: str, document: bytes) -> list[Element]:
    """Return the values at ``path``, each element of an array by itself, as an index does."""
    if _WILDCARD in path:
        return list(_leaves(document))
    return list(_at(path.encode().split(b"."), document))


def _at(parts: Sequence[bytes], document: bytes) -> Iterator[Element]:
    for element in elements(document):
        if element.name != parts[0]:
            continue
        if len(parts) == 1:
            yield from elements(element.value) if element.type == _ARRAY else (element,)
        elif element.type == _DOCUMENT:
            yield from _at(parts[1:], element.value)
        elif element.type == _ARRAY:
            yield from _in_array(parts[1:], element.value)


def _in_array(parts: Sequence[bytes], array: bytes) -> Iterator[Element]:
    for member in elements(array):
        if member.type == _DOCUMENT:
            yield from _at(parts, member.value)
        elif member.name == parts[0] and len(parts) == 1:
            yield member


def _leaves(document: bytes) -> Iterator[Element]:
    for element in elements(document):
        if element.type in (_DOCUMENT, _ARRAY):
            yield from _leaves(element.value)
        else:
            yield element
