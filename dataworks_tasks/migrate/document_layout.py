"""Take the documents of a batch apart all at once, where they are laid out alike.

Documents of one collection mostly have the same fields in the same order. One walk over such a
layout finds the places of its fields in every document with a few numpy steps, and a change of the
layout changes them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.encoded_batch import EncodedBatch, Offsets
from dataworks_tasks.migrate.field_tree import (
    ARRAY,
    DOCUMENT,
    FIXED_SIZES,
    Column,
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


def take_apart(batch: EncodedBatch, names: Names) -> tuple[list[Layout], Offsets]:
    """Layouts of most of the documents, and the rows of those that have to be done one by one.

    An array that a change goes into is never alike.
    """
    layouts: list[Layout] = []
    left: list[Offsets] = []
    waiting: Offsets = np.arange(len(batch), dtype=np.int64)
    while len(waiting) >= FEWEST_ALIKE and len(layouts) + len(left) < _MOST_LAYOUTS:
        walk = _Walk(batch, names, waiting)
        if walk.run():
            layouts.append(Layout(walk.rows, walk.fields))
        else:
            left.append(walk.rows)
        waiting = np.sort(np.concatenate(walk.others)) if walk.others else waiting[:0]
    return layouts, np.concatenate([*left, waiting])


class _Frame:
    """A document that the walk is in; ``run`` is where the bytes begin that are in no part."""

    __slots__ = ("field", "fields", "run")

    def __init__(self, field: Field | None, names: Names, run: Offsets) -> None:
        self.field, self.fields, self.run = field, Fields([], names), run


class _Walk:
    """Goes through all documents at once; those that differ from the first fall behind.

    Arrays of places have an entry for each document of the batch, whether it is still walked with
    or not, so that nothing has to be cut when documents fall behind.
    """

    def __init__(self, batch: EncodedBatch, names: Names, rows: Offsets) -> None:
        self.rows = rows
        self.others: list[Offsets] = []
        self._bytes = batch.data
        self._words = {width: _words(batch.data, width) for width in (1, 2, 4, 8)}
        self._position: Offsets = batch.offsets[:-1] + 4
        self._columns: list[Column] = []
        self._frames = [_Frame(None, names, self._position.copy())]
        self.fields = self._frames[0].fields

    def run(self) -> bool:
        """Walk to the end; False when the documents cannot be done together."""
        while self._frames:
            header, start = self._next_header()
            if header == b"\0":
                self._leave(start)
            elif not self._field(header[0], header[1:-1], start):
                return False
        for column in self._columns:
            column.keep(self.rows)
        return True

    def _next_header(self) -> tuple[bytes, Offsets]:
        """Type and name of the first document's next field, and where its values begin."""
        first = int(self._position[self.rows[0]])
        end = first if self._bytes[first] == 0 else self._bytes.index(0, first + 1)
        header = self._bytes[first : end + 1]
        here = self._position[self.rows]
        alike = self._stands_at(header, here)
        if not alike.all():
            self.others.append(self.rows[~alike])
            self.rows, here = self.rows[alike], here[alike]
        return header, here + len(header)

    def _stands_at(self, header: bytes, here: Offsets) -> NDArray[np.bool_]:
        """Where ``header`` stands, compared in overlapping words of the widest size that fits."""
        width = min(8, 1 << (len(header).bit_length() - 1))
        words = self._words[width]
        here = np.minimum(here, len(self._bytes) - len(header))
        alike = np.ones(len(here), dtype=np.bool_)
        for offset in {*range(0, len(header) - width, width), len(header) - width}:
            wanted = int.from_bytes(header[offset : offset + width], "little")
            alike &= words[here + offset] == words.dtype.type(wanted)
        return alike

    def _field(self, type_: int, name: bytes, start: Offsets) -> bool:
        frame = self._frames[-1]
        stop = self._stops(type_, start)
        if stop is None:
            return False
        if name not in frame.fields.names:
            self._position[self.rows] = stop
            return True
        inner = frame.fields.names[name]
        if type_ == ARRAY:
            return False
        self._close_run(frame)
        field = Field(type_, name, b"", inner)
        frame.fields.parts.append(field)
        if type_ == DOCUMENT and inner:
            self._position[self.rows] = start + 4
            self._frames.append(_Frame(field, inner, self._position.copy()))
            return True
        self._position[self.rows] = start
        begin = self._position.copy()
        self._position[self.rows] = stop
        field.value = self._column(begin)
        frame.run = self._position.copy()
        return True

    def _stops(self, type_: int, start: Offsets) -> Offsets | None:
        size = FIXED_SIZES.get(type_)
        if size is not None:
            return start + size
        longer = _LONGER_BY.get(type_)
        if longer is None:
            return None
        stop: Offsets = start + self._words[4][start] + longer
        return stop

    def _leave(self, behind: Offsets) -> None:
        frame = self._frames.pop()
        self._close_run(frame)
        self._position[self.rows] = behind
        if frame.field is not None:
            frame.field.inside = frame.fields
            self._frames[-1].run = self._position.copy()

    def _close_run(self, frame: _Frame) -> None:
        first = self.rows[0]
        if frame.run[first] < self._position[first]:
            frame.fields.parts.append(self._column(frame.run))

    def _column(self, begin: Offsets) -> Column:
        column = Column(self._bytes, begin, self._position.copy())
        self._columns.append(column)
        return column


def _words(data: bytes, width: int) -> NDArray[np.unsignedinteger]:
    """The little-endian number of ``width`` bytes that begins at each byte of ``data``."""
    count = max(0, len(data) - width + 1)
    return np.ndarray((count,), dtype=f"<u{width}", buffer=data, strides=(1,))


def put_together(layout: Layout) -> EncodedBatch:
    """All documents of the layout as they are now, end to end."""
    pieces, lengths = _pieces(layout.fields, len(layout.rows))
    columns = (repeat(piece) if isinstance(piece, bytes) else piece for piece in _merged(pieces))
    data = b"".join(chain.from_iterable(zip(*columns, strict=False)))
    return EncodedBatch(data, np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)]))


def _pieces(fields: Fields, count: int) -> tuple[list[bytes | list[bytes]], Offsets]:
    """Constants and columns that make the documents, and each document's length."""
    pieces: list[bytes | list[bytes]] = []
    lengths: Offsets = np.full(count, 5, dtype=np.int64)
    for part in fields.parts:
        value: bytes | Column = b""
        if not isinstance(part, Field):
            value = part
        else:
            header = bytes((part.type,)) + part.name + b"\0"
            pieces.append(header)
            lengths += len(header)
            if part.inside is not None:
                inner, inner_lengths = _pieces(part.inside, count)
                pieces += inner
                lengths += inner_lengths
                continue
            value = part.value
        pieces.append(value if isinstance(value, bytes) else value.values())
        lengths += len(value) if isinstance(value, bytes) else value.lengths()
    packed = lengths.astype("<i4").tobytes()
    sizes = [packed[place : place + 4] for place in range(0, len(packed), 4)]
    return [sizes, *pieces, b"\0"], lengths


def _merged(pieces: list[bytes | list[bytes]]) -> list[bytes | list[bytes]]:
    """The same with neighboring constants as one."""
    merged: list[bytes | list[bytes]] = []
    for piece in pieces:
        if isinstance(piece, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged
