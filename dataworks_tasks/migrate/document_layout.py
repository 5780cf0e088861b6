"""Take the documents of a batch apart all at once, where they are laid out alike.

Documents of one collection mostly have the same fields in the same order. One walk over such a
layout finds the places of its fields in every document with a few numpy steps, and a change of the
layout changes them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.encoded_batch import EncodedBatch, Offsets
from dataworks_tasks.migrate.column import Column
from dataworks_tasks.migrate.field_tree import (
    ARRAY,
    DOCUMENT,
    FIXED_SIZES,
    Field,
    Fields,
    Names,
)

FEWEST_ALIKE = 16
"""A layout of fewer documents is not worth the numpy steps."""
_MOST_LAYOUTS = 32
_LONGER_BY = {0x02: 4, 0x0D: 4, 0x0E: 4, 0x05: 5, DOCUMENT: 0, ARRAY: 0, 0x0F: 0}
"""How much longer a value is than the length it begins with."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Documents ``rows`` of a batch, and the fields they have; ``fields`` holds columns."""

    rows: Offsets
    fields: Fields


def take_apart(batch: EncodedBatch, names: Names) -> Iterator[Layout]:
    """Layouts of most of the documents; the others have to be done one by one.

    An array that a change goes into is never alike.
    """
    waiting: Offsets = np.arange(len(batch), dtype=np.int64)
    for _ in range(_MOST_LAYOUTS):
        if len(waiting) < FEWEST_ALIKE:
            return
        walk = _Walk(batch, names, waiting)
        if walk.run():
            yield Layout(walk.rows, walk.fields)
        waiting = np.sort(np.concatenate(walk.others)) if walk.others else waiting[:0]


class _Places:
    """A place in each of the documents ``rows``; those that fell behind are left out when asked."""

    __slots__ = ("_places", "_rows")

    def __init__(self, rows: Offsets, places: Offsets) -> None:
        self._rows, self._places = rows, places

    def of(self, rows: Offsets) -> Offsets:
        """The places in ``rows``, which are some of the documents."""
        if rows is not self._rows:
            self._places = self._places[np.searchsorted(self._rows, rows)]
            self._rows = rows
        return self._places


@dataclass(slots=True)
class _Frame:
    """A document that the walk is in; ``run`` is where the bytes begin that are in no part."""

    field: Field | None
    fields: Fields
    run: _Places


class _Walk:
    """Goes through all documents at once; those that differ from the first fall behind."""

    def __init__(self, batch: EncodedBatch, names: Names, rows: Offsets) -> None:
        self.rows = rows
        self.others: list[Offsets] = []
        self._bytes = batch.data
        self._lengths = _overlapping(batch.data, "<i4")
        self._texts_of: dict[int, NDArray[np.bytes_]] = {}
        self._here: Offsets = batch.offsets[rows] + 4
        self._columns: list[tuple[Column, Offsets]] = []
        self.fields = Fields([], names)
        self._frames = [_Frame(None, self.fields, self._places())]

    def run(self) -> bool:
        """Walk to the end; False when the documents cannot be done together."""
        while self._frames:
            header, start = self._next_header()
            if header == b"\0":
                self._leave(start)
            elif not self._field(header[0], header[1:-1], start):
                return False
        for column, rows in self._columns:
            if rows is not self.rows:
                column.keep(np.searchsorted(rows, self.rows))
        return True

    def _next_header(self) -> tuple[bytes, Offsets]:
        """Type and name of the first document's next field, and where its values begin."""
        first = int(self._here[0])
        end = first if self._bytes[first] == 0 else self._bytes.index(0, first + 1)
        header = self._bytes[first : end + 1]
        alike = self._stands_at(header)
        if not alike.all():
            self.others.append(self.rows[~alike])
            self.rows, self._here = self.rows[alike], self._here[alike]
        return header, self._here + len(header)

    def _stands_at(self, header: bytes) -> NDArray[np.bool_]:
        last = len(self._bytes) - len(header)
        here = self._here if self._here[-1] <= last else np.minimum(self._here, last)
        # numpy leaves out zeros at the end of its strings: only the last of a header is one.
        alike: NDArray[np.bool_] = self._texts(len(header))[here] == header.rstrip(b"\0")
        return alike

    def _texts(self, width: int) -> NDArray[np.bytes_]:
        if width not in self._texts_of:
            self._texts_of[width] = _overlapping(self._bytes, f"S{width}")
        return self._texts_of[width]

    def _field(self, type_: int, name: bytes, start: Offsets) -> bool:
        frame = self._frames[-1]
        stop = self._stops(type_, start)
        if stop is None:
            return False
        if name not in frame.fields.names:
            self._here = stop
            return True
        inner = frame.fields.names[name]
        if type_ == ARRAY:
            return False
        self._close_run(frame)
        field = Field(type_, name, b"", inner)
        frame.fields.parts.append(field)
        if type_ == DOCUMENT and inner:
            field.inside = Fields([], inner)
            self._here = start + 4
            self._frames.append(_Frame(field, field.inside, self._places()))
            return True
        self._here = stop
        field.value = self._column(_Places(self.rows, start))
        frame.run = self._places()
        return True

    def _stops(self, type_: int, start: Offsets) -> Offsets | None:
        size = FIXED_SIZES.get(type_)
        if size is not None:
            return start + size
        longer = _LONGER_BY.get(type_)
        if longer is None:
            return None
        stop: Offsets = start + self._lengths[start] + longer
        return stop

    def _leave(self, behind: Offsets) -> None:
        frame = self._frames.pop()
        self._close_run(frame)
        self._here = behind
        if self._frames:
            self._frames[-1].run = self._places()

    def _close_run(self, frame: _Frame) -> None:
        if frame.run.of(self.rows)[0] < self._here[0]:
            frame.fields.parts.append(self._column(frame.run))

    def _places(self) -> _Places:
        return _Places(self.rows, self._here)

    def _column(self, begin: _Places) -> Column:
        column = Column(self._bytes, begin.of(self.rows), self._here)
        self._columns.append((column, self.rows))
        return column


def _overlapping(data: bytes, dtype: str) -> NDArray[Any]:
    """The item of type ``dtype`` that begins at each byte of ``data``."""
    count = max(0, len(data) - np.dtype(dtype).itemsize + 1)
    return np.ndarray((count,), dtype=dtype, buffer=data, strides=(1,))
