"""Take the documents of a batch apart all at once, if they have the same layout.

Documents of one collection mostly have the same fields in the same order. One walk over such a
layout finds the offsets of its fields in every document with a few numpy steps, and a change of the
layout changes them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.documents.encoded_batch import EncodedBatch, Offsets
from dataworks_tasks.documents.raw_bson import FIXED_SIZES, LONGER_BY
from dataworks_tasks.migrate.field_tree import (
    ARRAY,
    DOCUMENT,
    FieldNames,
    FieldNode,
    FieldNodes,
)
from dataworks_tasks.migrate.value_column import ValueColumn

FEWEST_ALIKE = 16
"""A layout with fewer documents is not worth the numpy steps."""
_MOST_LAYOUTS = 32


@dataclass(frozen=True, slots=True)
class DocumentLayout:
    """Documents ``rows`` of a batch, and the fields they have; ``fields`` holds columns."""

    rows: Offsets
    fields: FieldNodes


def take_apart(batch: EncodedBatch, names: FieldNames) -> Iterator[DocumentLayout]:
    """Return layouts of most documents; the others have to be changed one by one.

    Documents with an array that a change enters never share a layout.
    """
    rows: Offsets = np.arange(len(batch), dtype=np.int64)
    starts = _RowOffsets(rows, batch.offsets[:-1] + 4)
    waiting = [_Walk(_BatchBytes(batch.data), starts, starts, [names])]
    for _ in range(_MOST_LAYOUTS):
        waiting = [walk for walk in waiting if len(walk.here.rows) >= FEWEST_ALIKE]
        if not waiting:
            return
        waiting.sort(key=lambda walk: len(walk.here.rows))
        walk = waiting.pop()
        if walk.to_the_end(waiting):
            yield walk.layout(names)


@dataclass(frozen=True, slots=True, eq=False)
class _RowOffsets:
    """An offset in each of the documents ``rows``."""

    rows: Offsets
    at: Offsets

    def moved(self, at: Offsets) -> _RowOffsets:
        return _RowOffsets(self.rows, at)

    def only(self, chosen: NDArray[np.bool_]) -> _RowOffsets:
        return _RowOffsets(self.rows[chosen], self.at[chosen])

    def of(self, row: int) -> int:
        return int(self.at[np.searchsorted(self.rows, row)])


class _BatchBytes:
    """The batch's bytes, read at one offset in each document at once."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._lengths = _overlapping(data, "<i4")
        self._texts: dict[int, NDArray[np.bytes_]] = {}

    def header_at(self, offset: int) -> bytes:
        """Type and name of the field there, or the end of the document."""
        end = offset if self.data[offset] == 0 else self.data.index(0, offset + 1)
        return self.data[offset : end + 1]

    def lengths(self, at: Offsets) -> Offsets:
        lengths: Offsets = self._lengths[at]
        return lengths

    def matches(self, header: bytes, at: Offsets) -> NDArray[np.bool_]:
        """Return where ``header`` is found; ``at`` is in ascending order."""
        width = len(header)
        if width not in self._texts:
            self._texts[width] = _overlapping(self.data, f"S{width}")
        last = len(self.data) - width
        within = at if at[-1] <= last else np.minimum(at, last)
        # numpy leaves out zeros at the end of its strings: only the last of a header is one.
        alike: NDArray[np.bool_] = self._texts[width][within] == header.rstrip(b"\0")
        return alike


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """Bytes of no interest."""

    begin: _RowOffsets
    end: _RowOffsets


@dataclass(frozen=True, slots=True, eq=False)
class _Value:
    """The value of a field of interest."""

    type: int
    name: bytes
    begin: _RowOffsets
    end: _RowOffsets


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A document with fields of interest; what is in it follows, up to ``_Closed``."""

    name: bytes


class _Closed:
    """The end of a document."""


_Step = _Run | _Value | _Opened | _Closed


@dataclass(slots=True, eq=False)
class _Walk:
    """Walks through many documents at once.

    ``run`` is where the bytes begin that are in no step.
    """

    source: _BatchBytes
    here: _RowOffsets
    run: _RowOffsets
    levels: list[FieldNames]
    steps: list[_Step] = field(default_factory=list)

    def to_the_end(self, others: list[_Walk]) -> bool:
        """Walk to the end; False if the documents cannot be done together.

        Documents that turn out to differ from the first go to ``others``, to walk on from there.
        """
        while self.levels:
            header = self.source.header_at(int(self.here.at[0]))
            alike = self.source.matches(header, self.here.at)
            if not alike.all():
                others.append(self._parted(self.here.only(~alike)))
                self.here = self.here.only(alike)
            start = self.here.moved(self.here.at + len(header))
            if header == b"\0":
                self._leave(start)
            elif not self._field(header[0], header[1:-1], start):
                return False
        return True

    def layout(self, names: FieldNames) -> DocumentLayout:
        """Return the documents that the walk completed, and their fields called ``names``."""
        rows, data = self.here.rows, self.source.data
        chosen = {id(rows): np.arange(len(rows))}

        def final(offsets: _RowOffsets) -> Offsets:
            if id(offsets.rows) not in chosen:
                chosen[id(offsets.rows)] = np.searchsorted(offsets.rows, rows)
            return offsets.at[chosen[id(offsets.rows)]]

        steps = iter(self.steps)

        def fields(names: FieldNames) -> FieldNodes:
            parts: list[FieldNode | bytes | ValueColumn] = []
            for step in steps:
                if isinstance(step, _Closed):
                    break
                if isinstance(step, _Opened):
                    made = FieldNode(DOCUMENT, step.name, b"", names[step.name])
                    made.inside = fields(names[step.name])
                    parts.append(made)
                    continue
                column = ValueColumn(data, final(step.begin), final(step.end))
                if isinstance(step, _Value):
                    parts.append(FieldNode(step.type, step.name, column, names[step.name]))
                else:
                    parts.append(column)
            return FieldNodes(parts, names)

        return DocumentLayout(rows, fields(names))

    def _parted(self, here: _RowOffsets) -> _Walk:
        return replace(self, here=here, levels=[*self.levels], steps=[*self.steps])

    def _field(self, type_: int, name: bytes, start: _RowOffsets) -> bool:
        stop = self._stop(type_, start)
        if stop is None:
            return False
        names = self.levels[-1]
        if name not in names:
            self.here = stop
            return True
        if type_ == ARRAY:
            return False
        self._close_run()
        if type_ == DOCUMENT and names[name]:
            self.steps.append(_Opened(name))
            self.levels.append(names[name])
            stop = start.moved(start.at + 4)
        else:
            self.steps.append(_Value(type_, name, start, stop))
        self.here = self.run = stop
        return True

    def _stop(self, type_: int, start: _RowOffsets) -> _RowOffsets | None:
        size = FIXED_SIZES.get(type_)
        if size is not None:
            return start.moved(start.at + size)
        longer = LONGER_BY.get(type_)
        if longer is None:
            return None
        return start.moved(start.at + self.source.lengths(start.at) + longer)

    def _leave(self, behind: _RowOffsets) -> None:
        self._close_run()
        self.steps.append(_Closed())
        self.levels.pop()
        self.here = self.run = behind

    def _close_run(self) -> None:
        if self.run.of(self.here.rows[0]) < self.here.at[0]:
            self.steps.append(_Run(self.run, self.here))


def _overlapping(data: bytes, dtype: str) -> NDArray[Any]:
    """Return the item of type ``dtype`` at each byte offset of ``data``."""
    count = max(0, len(data) - np.dtype(dtype).itemsize + 1)
    return np.ndarray((count,), dtype=dtype, buffer=data, strides=(1,))
