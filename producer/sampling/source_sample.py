"""A sample of a collection, from several places of its key space."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.scan.key_space import ID, KeyRange, bracket_of, key_of, query
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classified
from dataworks_tasks.store.retrying import retry_transient

_DOCUMENTS = 100
"""From each place."""
_PLACES = 8
"""Between both ends."""
_MOST_BYTES = 32 * 1024 * 1024
_FEW_ENOUGH_TO_SKIP = 1_000_000
"""Skipping this many keys of an index takes about 0.3 s."""


@dataclass(frozen=True, slots=True)
class SourceSample:
    """Documents of a collection. ``complete``: the collection has no others."""

    documents: EncodedBatch
    complete: bool


def sample_collection(source: BaseDatabaseClient, namespace: Namespace) -> SourceSample:
    """Read up to a thousand documents along the index on ``_id``: both ends and places between.

    No document is in it twice. Stops after 32 MB. Raises the errors of ``driver_errors.classify``.
    """
    found: dict[bytes, None] = {}
    size = 0
    complete = False
    for number, page in enumerate(_pages(source, namespace)):
        for document in page:
            found.setdefault(document)
        size += sum(map(len, page))
        complete = complete or (number == 0 and len(page) < _DOCUMENTS)
        if complete or size > _MOST_BYTES:
            break
    return SourceSample(EncodedBatch.of(list(found)), complete)


def _pages(source: BaseDatabaseClient, namespace: Namespace) -> Iterator[list[bytes]]:
    first = _read(source, namespace, {}, 1)
    yield first
    last = _read(source, namespace, {}, -1)
    yield last
    if not first or not last:
        return
    ends = (key_of(first[0], ID), key_of(last[0], ID))
    if not source.capabilities.sample:
        places: Iterable[Element] = _between(*ends)
    elif (count := source.estimated_count(namespace)) <= _FEW_ENOUGH_TO_SKIP:
        places = _by_skipping(source, namespace, count)
    else:
        yield _random(source, namespace)
        return
    for place in places:
        yield _read(source, namespace, query([KeyRange(bracket_of(place), place)], ID), 1)


def _read(
    source: BaseDatabaseClient, namespace: Namespace, wanted: Any, direction: int, **options: Any
) -> list[bytes]:
    options = {"limit": _DOCUMENTS, "batch_size": _DOCUMENTS, **options}

    def once() -> list[bytes]:
        pages = source.find_raw(namespace, wanted, sort={"_id": direction}, **options)
        return [document for page in pages for document in EncodedBatch.parse(page).documents()]

    return retry_transient(once)


def _by_skipping(source: BaseDatabaseClient, namespace: Namespace, count: int) -> Iterator[Element]:
    """Return keys of any type that divide the collection evenly, read from the index only."""
    for number in range(1, _PLACES + 1):
        skip = count * number // (_PLACES + 1)
        keys = _read(source, namespace, {}, 1, projection={"_id": 1}, skip=skip, limit=1)
        yield from (key_of(document, ID) for document in keys)


def _random(source: BaseDatabaseClient, namespace: Namespace) -> list[bytes]:
    """Return documents that the server draws; for a few of many, it does not read all of them."""
    pipeline = [{"$sample": {"size": _DOCUMENTS * _PLACES}}]

    def once() -> list[bytes]:
        drawn: list[bytes] = []
        with classified():
            collection = source.collection(namespace)
            pages: Any = collection.aggregate_raw_batches(pipeline, batchSize=_PLACES)
            for page in pages:
                drawn += EncodedBatch.parse(page).documents()
                if sum(map(len, drawn)) > _MOST_BYTES:
                    break
        return drawn

    return retry_transient(once)


def _between(first: Element, last: Element) -> Iterator[Element]:
    """Return keys between two of one type, by their values; empty if they cannot be computed.

    For servers on which both drawing and skipping read everything.
    """
    if first.type != last.type:
        return
    if first.type == _STRING:
        yield from map(_string, _texts_between(first.value[4:-1], last.value[4:-1]))
    elif first.type == _OBJECT_ID:
        low, high = (int.from_bytes(key.value) for key in (first, last))
        for number in _steps(low, high):
            yield Element(_OBJECT_ID, b"", number.to_bytes(12))
    elif first.type in _INTEGERS:
        form = _INTEGERS[first.type]
        low, high = (form.unpack(key.value)[0] for key in (first, last))
        for number in _steps(low, high):
            yield Element(first.type, b"", form.pack(number))


def _steps(low: int, high: int) -> Iterator[int]:
    for number in range(1, _PLACES + 1):
        yield low + (high - low) * number // (_PLACES + 1)


def _texts_between(begin: bytes, end: bytes) -> Iterator[bytes]:
    """Return texts between two, spread evenly over the letters that both seem to use."""
    pairs = zip(begin, end, strict=False)
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    tails = (begin[alike:][:_LETTERS], end[alike:][:_LETTERS])
    letters = next((some for some in _ALPHABETS if not set(b"".join(tails)) - set(some)), _TEXT)
    low, high = (_number(tail, letters) for tail in tails)
    for number in _steps(low, high):
        yield begin[:alike] + _letters(number, letters)


def _number(text: bytes, letters: bytes) -> int:
    number = 0
    for byte in text.ljust(_LETTERS, letters[:1]):
        number = number * len(letters) + max(letters.find(byte), 0)
    return number


def _letters(number: int, letters: bytes) -> bytes:
    text = bytearray()
    for _ in range(_LETTERS):
        number, digit = divmod(number, len(letters))
        text.append(letters[digit])
    return bytes(reversed(text))


def _string(text: bytes) -> Element:
    return Element(_STRING, b"", struct.pack("<i", len(text) + 1) + text + b"\0")


_LETTERS = 8
_TEXT = bytes(range(0x20, 0x7F))
_ALPHABETS = (b"0123456789", b"0123456789abcdef", b"0123456789ABCDEF")
_STRING, _OBJECT_ID = 0x02, 0x07
_INTEGERS = {0x09: struct.Struct("<q"), 0x10: struct.Struct("<i"), 0x12: struct.Struct("<q")}
