"""A slice: a part of one collection's key space, self-contained in a few dozen bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from dataworks_tasks.documents.raw_bson import Element, assemble, element_bytes, elements, embedded
from dataworks_tasks.errors import NEW_RUN, SpecRefused
from dataworks_tasks.scan.key_space import (
    BRACKETS,
    ID,
    KeyRange,
    bracket_of_type,
    key_ranges_after,
    key_ranges_between,
    key_ranges_through,
)


class SliceKind(IntEnum):
    """How a slice selects its documents."""

    RANGE = 0  # by the order of all types
    ONE_TYPE = 1  # within the type of its bounds, whatever the server's order of types
    OTHER_TYPES = 2  # every document whose key is of none of SLICED_TYPES
    NATURAL = 3  # the whole collection in insertion order


OBJECT_ID, STRING = 0x07, 0x02
SLICED_TYPES = (OBJECT_ID, STRING)
"""Types that have slices of ``SliceKind.ONE_TYPE``."""


@dataclass(frozen=True, slots=True)
class Slice:
    """``[lower, upper)`` of the keys of namespace pair ``pair``; None is the end of the key space.

    ``planner_state`` is for the planner only: its positions in the other collections when it made
    this slice. Acknowledged slices leave the ledger, so a slice is self-contained.
    ``completed_to``: everything up to this key, in the order of reading, is completed and counted.
    ``documents_at_once``: this many documents are completed and counted before the next ones are
    begun, because one of them kills its worker; None: as many as is fastest.
    """

    pair: int
    lower: Element | None = None
    upper: Element | None = None
    kind: SliceKind = SliceKind.RANGE
    planner_state: bytes | None = None
    completed_to: Element | None = None
    documents_at_once: int | None = None

    def to_bytes(self) -> bytes:
        """Encode the slice for the ledger: a BSON document, 42 bytes between two ObjectIds."""
        fields = [b"\x10p\0" + struct.pack("<i", self.pair)]
        if self.lower is not None:
            fields.append(element_bytes(self.lower, b"l"))
        if self.upper is not None:
            fields.append(element_bytes(self.upper, b"u"))
        if self.kind is not SliceKind.RANGE:
            fields.append(b"\x10c\0" + struct.pack("<i", self.kind))
        if self.planner_state is not None:
            fields.append(embedded(b"s", self.planner_state))
        if self.completed_to is not None:
            fields.append(element_bytes(self.completed_to, b"k"))
        if self.documents_at_once is not None:
            fields.append(b"\x10d\0" + struct.pack("<i", self.documents_at_once))
        return assemble(fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> Slice:
        """Read a slice. Raises SpecRefused when the bytes are not one."""
        try:
            fields = {element.name: element for element in elements(data)}
            return cls(
                pair=_number(fields[b"p"]),
                lower=_bound(fields.get(b"l")),
                upper=_bound(fields.get(b"u")),
                kind=SliceKind(_number(fields[b"c"])) if b"c" in fields else SliceKind.RANGE,
                planner_state=fields[b"s"].value if b"s" in fields else None,
                completed_to=_bound(fields.get(b"k")),
                documents_at_once=_number(fields[b"d"]) if b"d" in fields else None,
            )
        except (KeyError, ValueError, IndexError, struct.error):
            raise SpecRefused(
                "a slice in the ledger is damaged", f"{NEW_RUN.capitalize()}; copied documents stay"
            ) from None

    def groups(self, field: bytes = ID) -> list[list[KeyRange]]:
        """Return one query per group, each with its key ranges in key order.

        A group without key ranges is the complete collection.
        """
        if self.kind is SliceKind.RANGE:
            key_ranges = list(key_ranges_between(self.lower, self.upper, field))
            return [key_ranges] if key_ranges else []
        if self.kind is SliceKind.ONE_TYPE:
            type_ = next((bound.type for bound in (self.lower, self.upper) if bound), OBJECT_ID)
            return [[KeyRange(bracket_of_type(type_), self.lower, self.upper, only_type=type_)]]
        if self.kind is SliceKind.OTHER_TYPES:
            return [
                [KeyRange(position, only_type=type_)]
                for position, bracket in enumerate(BRACKETS)
                for type_ in bracket.types
                if type_ not in SLICED_TYPES and (bracket.in_ids or field != ID)
            ]
        return [[]]


EACH_TYPE_APART = (
    Slice(0, kind=SliceKind.ONE_TYPE),  # ObjectIds
    Slice(0, Element(STRING, b"", b"\x01\0\0\0\0"), kind=SliceKind.ONE_TYPE),
    Slice(0, kind=SliceKind.OTHER_TYPES),
)
"""A complete collection, whatever the server's order of types."""


def slice_of_run(number: int, data: bytes, pairs: int) -> Slice:
    """Slice ``number`` as the ledger has it. Raises SpecRefused unless the run has its pair."""
    slice_ = Slice.from_bytes(data)
    if not 0 <= slice_.pair < pairs:
        raise SpecRefused(f"slice {number} is of a collection that the run does not have")
    return slice_


def groups_after(groups: list[list[KeyRange]], key: Element) -> list[list[KeyRange]]:
    """Return what is left of the groups after everything up to ``key``; keys must be unique."""
    if len(groups) < 2:
        return [left for group in groups if (left := key_ranges_after(group, key))]
    at = _group_of(groups, key)
    left = key_ranges_after(groups[at], key)
    return [left, *groups[at + 1 :]] if left else groups[at + 1 :]


def groups_through(groups: list[list[KeyRange]], key: Element) -> list[list[KeyRange]]:
    """Return the part of the groups that is read up to and including ``key``."""
    if len(groups) < 2:
        return [key_ranges for group in groups if (key_ranges := key_ranges_through(group, key))]
    at = _group_of(groups, key)
    return [*groups[:at], key_ranges_through(groups[at], key)]


def _group_of(groups: list[list[KeyRange]], key: Element) -> int:
    """Each group covers one BSON type, in read order: int 5 and double 5.5 differ in group."""
    return next(index for index, group in enumerate(groups) if group[0].only_type == key.type)


def _number(element: Element) -> int:
    return int(struct.unpack("<i", element.value)[0])


def _bound(element: Element | None) -> Element | None:
    return None if element is None else element._replace(name=b"")
