"""The segments that a batch is assembled from, one column at a time.

A segment is the same part of every row (a document or an array element): a constant, a column of
fixed width, a string out of an arena, the elements of an array, or a choice of layouts by row. A
``Layout`` is a sequence of them. Lengths are known by column before anything is written, so each
column is written straight to where it belongs. In Arrow's words: ``Fixed`` is a fixed-size binary
array, ``Ragged`` a variable-size binary one, ``Gather`` a dictionary-encoded one, ``Run`` a struct,
``Choice`` a union, ``Elements`` a list array.

Over-wide writes: a string is copied at the width of the longest one when later writes to the row
overwrite the excess. ``spare`` is the number of bytes of the row known to come after.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch.arena import Arena, Positions
from dataworks_tasks.generate.batch.output import Output

Size = int | Positions

_LONGEST_FOLDED_PREFIX = 64
_WIDEST_SPILL = 512


class Segment(ABC):
    """One part of every row. ``size`` is its bytes by row, ``least`` a lower bound of them."""

    __slots__ = ("least", "size")

    size: Size
    least: int

    @abstractmethod
    def write(self, output: Output, positions: Positions, spare: int) -> None:
        """Write every row's bytes at its position."""


class Constant(Segment):
    """The same bytes in every row."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = self.least = len(data)

    def write(self, output: Output, positions: Positions, spare: int) -> None:
        if self.data:
            output.put(positions, np.full(len(positions), np.void(self.data)))


class Fixed(Segment):
    """A column of little-endian numbers, or of ``V`` bytes."""

    __slots__ = ("column",)

    def __init__(self, column: NDArray[Any]) -> None:
        self.column = column
        self.size = self.least = column.dtype.itemsize

    def write(self, output: Output, positions: Positions, spare: int) -> None:
        output.put(positions, self.column.view(f"V{self.size}"))


@lru_cache(maxsize=4096)
def _run_layout(signature: tuple[bytes | str, ...]) -> tuple[np.void, np.dtype[np.void]]:
    """Return the constant bytes and the record type of a run of constants and columns."""
    formats = [f"V{len(part)}" if isinstance(part, bytes) else part for part in signature]
    record = np.dtype([(f"f{index}", form) for index, form in enumerate(formats)])
    constant = b"".join(
        part if isinstance(part, bytes) else bytes(np.dtype(part).itemsize) for part in signature
    )
    return np.void(constant), record


class Run(Segment):
    """Neighboring constants and fixed columns, written as one record a row."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Constant | Fixed]) -> None:
        self.parts = parts
        self.size = self.least = sum(part.least for part in parts)

    def write(self, output: Output, positions: Positions, spare: int) -> None:
        signature = tuple(
            part.data if isinstance(part, Constant) else part.column.dtype.str
            for part in self.parts
        )
        constant, record = _run_layout(signature)
        rows = np.empty(len(positions), f"V{self.size}")
        rows[...] = constant
        fields = rows.view(record)
        for index, part in enumerate(self.parts):
            if isinstance(part, Fixed):
                fields[f"f{index}"] = part.column
        output.put(positions, rows)


class Ragged(Segment):
    """A string out of an arena for every row: ``starts`` and ``size`` by row."""

    __slots__ = ("arena", "lengths", "longest", "starts")

    def __init__(self, arena: Arena, starts: Positions, lengths: Positions) -> None:
        self.arena = arena
        self.starts = starts
        self.size = self.lengths = lengths
        self.least = int(lengths.min(initial=arena.longest))
        self.longest = int(lengths.max(initial=0))

    @classmethod
    def of(cls, strings: Sequence[bytes]) -> Ragged:
        """Build from one string per row, made for this batch only."""
        arena = Arena(strings)
        return cls(arena, arena.starts, arena.lengths)

    def write(self, output: Output, positions: Positions, spare: int) -> None:
        longest = self.longest
        if longest and longest - self.least <= spare and longest <= _WIDEST_SPILL:
            output.put(positions, self.arena.windows(longest)[self.starts])
        elif longest:
            output.put_strings(positions, self.arena, self.starts, self.lengths)


class Gather(Segment):
    """String number ``numbers[row]`` of a pool, with a constant in front of it."""

    __slots__ = ("arena", "lengths", "numbers", "prefix")

    def __init__(self, arena: Arena, numbers: Positions) -> None:
        self.arena = arena
        self.numbers = numbers
        self.prefix = b""
        self.size = self.lengths = arena.lengths[numbers]
        self.least = arena.shortest

    def after(self, prefix: bytes) -> Gather:
        """Return the same strings, each after ``prefix``."""
        folded = Gather.__new__(Gather)
        folded.arena, folded.numbers, folded.prefix = self.arena, self.numbers, prefix
        folded.size = folded.lengths = self.lengths + len(prefix)
        folded.least = self.least + len(prefix)
        return folded

    def write(self, output: Output, positions: Positions, spare: int) -> None:
        arena = self.arena
        if arena.longest - arena.shortest <= spare and 0 < arena.longest <= _WIDEST_SPILL:
            output.put(positions, arena.table(self.prefix)[self.numbers])
        elif arena.longest or self.prefix:
            arena = arena.prefixed(self.prefix) if self.prefix else arena
            starts = arena.starts[self.numbers]
            output.put_strings(positions, arena, starts, self.lengths)


class Choice(Segment):
    """A choice of layouts by row; rows in no group have no bytes here."""

    __slots__ = ("groups",)

    def __init__(self, count: int, groups: Sequence[tuple[Positions, Layout]]) -> None:
        self.groups = groups
        size = np.zeros(count, np.int64)
        for rows, layout in groups:
            size[rows] = layout.size
        self.size = size
        covered = sum(len(rows) for rows, _ in groups) == count
        self.least = min((layout.least for _, layout in groups), default=0) if covered else 0

    def write(self, output: Output, positions: Positions, spare: int) -> None:
        for rows, layout in self.groups:
            layout.write(output, positions[rows], spare)


class Elements(Segment):
    """The elements of an array: ``counts[row]`` consecutive rows of ``layout``."""

    __slots__ = ("_starts", "counts", "layout", "parents")

    def __init__(self, counts: Positions, parents: Positions, layout: Layout) -> None:
        self.counts = counts
        self.parents = parents
        self.layout = layout
        total = len(parents)
        ends = np.zeros(total + 1, np.int64)
        np.cumsum(np.broadcast_to(np.asarray(layout.size, np.int64), total), out=ends[1:])
        stops = np.cumsum(counts)
        self._starts = ends
        self.size = ends[stops] - ends[stops - counts]
        self.least = 0

    def write(self, output: Output, positions: Positions, spare: int) -> None:
        firsts = self._starts[np.cumsum(self.counts) - self.counts]
        shift = (positions - firsts)[self.parents]
        self.layout.write(output, shift + self._starts[:-1], 0)


class Layout:
    """Segments in order, neighbors merged where that saves a write."""

    __slots__ = ("least", "segments", "size")

    def __init__(self, segments: Iterable[Segment]) -> None:
        self.segments = _merge(segments)
        self.size: Size = total_size(self.segments)
        self.least = sum(segment.least for segment in self.segments)

    def write(self, output: Output, positions: Positions, spare: int = 0) -> None:
        """Write every row's segments one after the other, from its position on."""
        after = spare + self.least
        last = len(self.segments) - 1
        for index, segment in enumerate(self.segments):
            after -= segment.least
            segment.write(output, positions, after)
            if index != last:
                positions = positions + segment.size


def total_size(segments: Iterable[Segment]) -> Size:
    """Return the bytes of ``segments`` together by row; an int if all rows are equal."""
    fixed = 0
    varying: Positions | None = None
    for segment in segments:
        size = segment.size
        if isinstance(size, int):
            fixed += size
        elif varying is None:
            varying = size.copy()
        else:
            varying += size
    if varying is None:
        return fixed
    varying += fixed
    return varying


def _merge(segments: Iterable[Segment]) -> list[Segment]:
    merged: list[Segment] = []
    run: list[Constant | Fixed] = []
    for segment in segments:
        if isinstance(segment, Constant | Fixed):
            _extend(run, segment)
            continue
        folded = _fold(run, segment)
        if folded is None and run:
            merged.append(_close(run))
        merged.append(folded or segment)
        run = []
    if run:
        merged.append(_close(run))
    return merged


def _fold(run: list[Constant | Fixed], segment: Segment) -> Gather | None:
    if not isinstance(segment, Gather) or len(run) != 1 or not isinstance(run[0], Constant):
        return None
    prefix = run[0].data
    if len(prefix) > _LONGEST_FOLDED_PREFIX:
        return None
    return segment.after(prefix)


def _extend(run: list[Constant | Fixed], segment: Constant | Fixed) -> None:
    if isinstance(segment, Constant) and run and isinstance(run[-1], Constant):
        run[-1] = Constant(run[-1].data + segment.data)
    else:
        run.append(segment)


def _close(run: list[Constant | Fixed]) -> Segment:
    return run[0] if len(run) == 1 else Run(run)


def offsets_of(size: Size, count: int) -> Positions:
    """Where each of ``count`` rows starts when they lie end to end, and where the last one ends."""
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(np.broadcast_to(np.asarray(size, np.int64), count), out=offsets[1:])
    return offsets


def lay_out(layout: Layout, count: int) -> tuple[bytes, Positions]:
    """``count`` rows of ``layout`` laid end to end, and the offsets of the rows."""
    offsets = offsets_of(layout.size, count)
    output = Output(int(offsets[-1]))
    layout.write(output, offsets[:-1])
    return output.buffer.tobytes(), offsets
