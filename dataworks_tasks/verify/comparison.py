"""Compare the documents that should exist with those that do, byte for byte.

Documents are matched by the bytes of their ``_id``, in any order. Nothing is decoded, except what
is shown of a difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import zip_longest
from json import dumps
from typing import NamedTuple

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import (
    Element,
    elements,
    find_element,
    shown_value,
    value_end,
)

MOST_BYTES_UNMATCHED = 16 * 1024 * 1024
_LONGEST_SHOWN = 80
_CONTAINERS = frozenset({0x03, 0x04})
_WITH_LENGTH = frozenset({0x02, 0x05, 0x0D, 0x0E})
"""Values that begin with their length: strings, binary data, code and symbols."""
_BYTES_SHOWN = 8
_LIKE_ANOTHER = {
    0x02: "string",
    0x03: "object",
    0x06: "undefined",
    0x0A: "null",
    0x0C: "dbPointer",
    0x0E: "symbol",
    0x10: "int",
    0x12: "long",
}
"""Types whose values may be shown like those of another, by their names in ``$type``."""


class FieldDifference(NamedTuple):
    """The first field, by its dotted path, in which two documents differ; values as shown."""

    field: str
    expected: str
    found: str


class Difference(NamedTuple):
    """A document with different bytes; ``at`` is None if the document was too large to keep."""

    id: Element
    at: FieldDifference | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two sets of documents compare. Documents are named by their ``_id``.

    ``rules``: counters of what a migration's rules did to the expected documents.
    """

    equal: int
    missing: tuple[Element, ...] = ()
    extra: tuple[Element, ...] = ()
    different: tuple[Difference, ...] = ()
    rules: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether all documents are equal."""
        return not (self.missing or self.extra or self.different)


_Waiting = dict[bytes, list[bytes]]
"""Documents without a counterpart so far, by the bytes of their ``_id``."""


class _Digest(bytes):
    """128 bits that replace a document which waits long for its counterpart."""


class DocumentComparison:
    """Compares two streams of documents in memory that does not grow with them.

    Equal bytes on both sides, the usual case, cost one memory comparison. Only after the first
    difference are documents compared one by one; those without a counterpart wait for it, as
    digests once there are many.
    """

    def __init__(
        self, *, repeated_ids: bool = False, most_bytes_unmatched: int = MOST_BYTES_UNMATCHED
    ) -> None:
        """``repeated_ids``: several documents may have one ``_id``; equal ones belong together."""
        self._most_bytes = most_bytes_unmatched
        self._match = self._match_by_bytes if repeated_ids else self._match_by_id
        self._equal = 0
        self._expected: _Waiting = {}
        self._found: _Waiting = {}
        self._different: list[Difference] = []
        self._unmatched_bytes = 0

    def add(self, expected: EncodedBatch | None, found: EncodedBatch | None) -> None:
        """Add the next documents of either stream."""
        if expected is not None and found is not None:
            expected, found = self._skip_equal(expected, found)
        for batch, other, own in (
            (expected, self._found, self._expected),
            (found, self._expected, self._found),
        ):
            if batch is not None:
                self._match(batch, other, own)
        if self._unmatched_bytes > self._most_bytes:
            for waiting in (self._expected, self._found):
                for documents in waiting.values():
                    documents[:] = map(_digest, documents)
            self._unmatched_bytes = 0

    def _skip_equal(
        self, expected: EncodedBatch, found: EncodedBatch
    ) -> tuple[EncodedBatch | None, EncodedBatch | None]:
        """Both batches without their equal prefix."""
        count = min(len(expected), len(found))
        size = int(expected.offsets[count])
        if int(found.offsets[count]) != size or expected.data[:size] != found.data[:size]:
            return expected, found
        self._equal += count
        return (
            expected.slice(count, len(expected)) if len(expected) > count else None,
            found.slice(count, len(found)) if len(found) > count else None,
        )

    def _match_by_id(self, batch: EncodedBatch, others: _Waiting, own: _Waiting) -> None:
        for document in batch.documents():
            id_ = id_bytes(document)
            if id_ not in others:
                self._keep(own, id_, document)
                continue
            other = self._take(others, id_, 0)
            if _is_same(other, document):
                self._equal += 1
            else:
                pair = (document, other) if own is self._expected else (other, document)
                self._different.append(_difference(id_, *pair))

    def _match_by_bytes(self, batch: EncodedBatch, others: _Waiting, own: _Waiting) -> None:
        for document in batch.documents():
            id_ = id_bytes(document)
            same = (at for at, other in enumerate(others.get(id_, ())) if _is_same(other, document))
            position = next(same, None)
            if position is None:
                self._keep(own, id_, document)
            else:
                self._take(others, id_, position)
                self._equal += 1

    def _keep(self, waiting: _Waiting, id_: bytes, document: bytes) -> None:
        waiting.setdefault(id_, []).append(document)
        self._unmatched_bytes += len(document)

    def _take(self, waiting: _Waiting, id_: bytes, position: int) -> bytes:
        documents = waiting[id_]
        document = documents.pop(position)
        if not documents:
            del waiting[id_]
        self._unmatched_bytes -= 0 if isinstance(document, _Digest) else len(document)
        return document

    def result(self) -> Comparison:
        """Return the outcome, once both streams have ended."""
        for id_ in [id_ for id_ in self._expected if id_ in self._found]:
            while id_ in self._expected and id_ in self._found:
                pair = self._take(self._expected, id_, 0), self._take(self._found, id_, 0)
                self._different.append(_difference(id_, *pair))
        return Comparison(
            self._equal, _ids_of(self._expected), _ids_of(self._found), tuple(self._different)
        )


def compare(expected: EncodedBatch, found: EncodedBatch) -> Comparison:
    """Compare two batches, in any order."""
    comparison = DocumentComparison()
    comparison.add(expected, found)
    return comparison.result()


def id_bytes(document: bytes) -> bytes:
    """Return the ``_id`` field's bytes; the complete document if it has none."""
    if document[5:9] == b"_id\0":
        return document[4 : value_end(document, document[4], 9)]
    id_ = find_element(document, b"_id")
    return document if id_ is None else bytes((id_.type,)) + b"_id\0" + id_.value


def _id_of(id_: bytes) -> Element:
    return Element(id_[0], b"_id", id_[5:])


def _ids_of(waiting: _Waiting) -> tuple[Element, ...]:
    return tuple(_id_of(id_) for id_, documents in waiting.items() for _ in documents)


def _is_same(one: bytes, other: bytes) -> bool:
    if isinstance(one, _Digest) or isinstance(other, _Digest):
        return _digest(one) == _digest(other)
    return one == other


def _difference(id_: bytes, expected: bytes, found: bytes) -> Difference:
    known = not (isinstance(expected, _Digest) or isinstance(found, _Digest))
    return Difference(_id_of(id_), first_difference(expected, found) if known else None)


def _digest(document: bytes) -> _Digest:
    if isinstance(document, _Digest):
        return document
    return _Digest(blake2b(document, digest_size=16).digest())


def first_difference(expected: bytes, found: bytes) -> FieldDifference:
    """Return where two unequal documents differ first, by the expected field order."""
    return _first_difference(expected, found, "") or FieldDifference("", "", "")


def _first_difference(expected: bytes, found: bytes, path: str) -> FieldDifference | None:
    for ours, theirs in zip_longest(elements(expected), elements(found)):
        if ours == theirs:
            continue
        if ours is None or theirs is None or ours.name != theirs.name:
            return _moved_or_missing(expected, found, path, ours or theirs)
        inner = path + _shown_name(ours)
        if ours.type == theirs.type and ours.type in _CONTAINERS:
            return _first_difference(ours.value, theirs.value, inner + ".")
        return FieldDifference(inner, *_both_shown(ours, theirs))
    return None


def _moved_or_missing(
    expected: bytes, found: bytes, path: str, element: Element
) -> FieldDifference:
    ours, theirs = find_element(expected, element.name), find_element(found, element.name)
    name = path + _shown_name(element)
    if ours is not None and ours == theirs:
        return FieldDifference(name, "here", "at another place")
    return FieldDifference(name, *_both_shown(ours, theirs))


def _shown_name(element: Element) -> str:
    """Return the name of a field, in quotes if it could not be seen otherwise."""
    name = element.name.decode(errors="replace")
    return name if name.isprintable() and name else dumps(name)


def _both_shown(ours: Element | None, theirs: Element | None) -> tuple[str, str]:
    """Return two different values as shown, with their types or bytes where these look equal."""
    one, other = _shown(ours), _shown(theirs)
    if one != other or ours is None or theirs is None:
        return one, other
    if ours.type != theirs.type:
        return f"{one} ({_type_name(ours)})", f"{one} ({_type_name(theirs)})"
    skipped = 4 if ours.type in _WITH_LENGTH else 0
    here, there = ours.value[skipped:], theirs.value[skipped:]
    start = _first_different_byte(here, there)
    return (
        f"{one} (from byte {start:,}: {_hex(here[start:])})",
        f"{one} (from byte {start:,}: {_hex(there[start:])})",
    )


def _type_name(element: Element) -> str:
    return _LIKE_ANOTHER.get(element.type, f"type {element.type}")


def _first_different_byte(one: bytes, other: bytes) -> int:
    """Return the index by halving: a value may have 16 MB."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _hex(value: bytes) -> str:
    return value[:_BYTES_SHOWN].hex(" ") or "nothing"


def _shown(element: Element | None) -> str:
    if element is None:
        return "(missing)"
    text = shown_value(element)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
