"""Which parts of a run are done, in progress, failed, or still missing: its key space as strips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from dataworks_tasks.ledger.contract import WORKING, Ledger, RunProgress
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import series_of_buckets
from dataworks_tasks.runs.spec import GenerationJob, MigrationJob, RunKind, RunSpec

_CELLS = 100
_MOST_STRIPS = 50
_MOST_SLICES = 200_000
_MOST_GAPS = 20_000
"""Reading more than these would take longer than a person waits."""


class CellState(StrEnum):
    """The most important state in a part of the key space."""

    DONE = "done"
    PART = "part"  # some of it is acknowledged
    WORKING = "working"  # a worker has some of it in hand
    FAILED = "failed"  # it holds documents that could not be written
    MISSING = "missing"  # nothing of it is acknowledged


@dataclass(frozen=True, slots=True)
class Strip:
    """A collection, or all slices of a run. ``done``: from 0 to 1."""

    name: str
    unit: str
    size: int
    done: float
    cells: tuple[CellState, ...]

    @property
    def words(self) -> str:
        """The content of the strip in words, for people who cannot see it."""
        return f"{self.name}: {self.counts}"

    @property
    def counts(self) -> str:
        """The same without the name."""
        counts = {state: self.cells.count(state) for state in CellState}
        shown = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        return f"{self.done:.1%} acknowledged; of {len(self.cells)} parts: {shown}"

    def as_json(self) -> dict[str, Any]:
        """Names and values for machines."""
        return {
            "name": self.name,
            "unit": self.unit,
            "size": self.size,
            "done": round(self.done, 4),
            "cells": [cell.value for cell in self.cells],
        }


def read_strips(ledger: Ledger, spec: RunSpec, progress: RunProgress) -> tuple[Strip, ...]:
    """Return the run's strips: one for each collection, or one for all slices of a run.

    The slices of a run are one strip if it has one collection, or more than a page can show.
    """
    # A process that left a run, or died, may hold a range on record for a while.
    hands = ledger.windows.in_hand(spec.run_id) if progress.state in WORKING else ()
    failed = ledger.failed_ranges(spec.run_id)
    job = spec.data_job
    if isinstance(job, GenerationJob) and not spec.is_sliced:
        named = [(str(part.namespace), part.range) for part in job.parts if part.count]
        return tuple(
            _strip(ledger, spec.run_id, name, "documents", within, hands, failed)
            for name, within in named[:_MOST_STRIPS]
        )
    planned = BatchRange(0, progress.total or progress.planned)
    if not planned.size:
        return ()
    if spec.kind is RunKind.REPAIR:
        return (_strip(ledger, spec.run_id, "repairs", "windows", planned, hands, failed),)
    names = _collections(spec)
    closed = ledger.key_windows.copy_slices(spec.run_id)
    copied = planned.size if closed is None else closed
    collections = _numbers(ledger, spec.run_id, len(names), copied)
    if collections is None:
        return (_strip(ledger, spec.run_id, "slices", "slices", planned, hands, failed),)
    gaps = islice(ledger.gaps(spec.run_id, BatchRange(0, copied)), _MOST_GAPS)
    slices = _Slices(_marked(gaps, copied), _marked(hands, copied), _marked(failed, copied))
    strips = slices.strips(names, collections)
    if copied < planned.size:
        changes = BatchRange(copied, planned.size)
        strips = (
            *strips,
            _strip(ledger, spec.run_id, "changes", "windows", changes, hands, failed),
        )
    return strips


def _collections(spec: RunSpec) -> list[str]:
    """Return the names of the slices' collections, in the order of their numbers."""
    job = spec.data_job
    if not isinstance(job, MigrationJob):
        return []
    return [str(series_of_buckets(pair.target)) for pair in job.namespaces]


def _numbers(ledger: Ledger, run_id: str, names: int, copied: int) -> Sequence[int] | None:
    """Return the number of each slice's collection; None if one strip has to show all."""
    if names > _MOST_STRIPS or copied > _MOST_SLICES:
        return None
    numbers = [0] * copied if names == 1 else ledger.slice_collections(run_id)[:copied]
    return numbers if len(numbers) == copied else None


@dataclass(frozen=True, slots=True)
class _Slices:
    """A byte for each slice that says whether it is missing, held by a worker, or failed."""

    missing: bytearray
    working: bytearray
    broken: bytearray

    def strips(self, names: Sequence[str], collections: Sequence[int]) -> tuple[Strip, ...]:
        """Return a strip for each collection that has slices."""
        numbers: list[list[int]] = [[] for _ in names]
        for number, collection in enumerate(collections):
            numbers[collection].append(number)
        return tuple(
            self._strip(name, own) for name, own in zip(names, numbers, strict=True) if own
        )

    def _strip(self, name: str, own: Sequence[int]) -> Strip:
        count = min(_CELLS, len(own))
        cells = tuple(
            self._cell(own[index * len(own) // count : (index + 1) * len(own) // count])
            for index in range(count)
        )
        missing = sum(self.missing[number] for number in own)
        return Strip(name, "slices", len(own), 1 - missing / len(own), cells)

    def _cell(self, own: Sequence[int]) -> CellState:
        return _state(
            sum(self.missing[number] for number in own),
            len(own),
            any(self.working[number] for number in own),
            any(self.broken[number] for number in own),
        )


def _marked(pieces: Iterable[BatchRange], size: int) -> bytearray:
    """Return a byte for each of ``size`` numbers: 1 for those in ``pieces``."""
    marked = bytearray(size)
    for piece in pieces:
        start, stop = min(piece.start, size), min(piece.stop, size)
        marked[start:stop] = b"\1" * (stop - start)
    return marked


def _strip(  # noqa: PLR0913, PLR0917 - private, and each is a thing of its own
    ledger: Ledger,
    run_id: str,
    name: str,
    unit: str,
    within: BatchRange,
    hands: Sequence[BatchRange],
    failed: Sequence[BatchRange],
) -> Strip:
    count = min(_CELLS, within.size)
    gaps = list(islice(ledger.gaps(run_id, within), _MOST_GAPS))
    missing = [0] * count
    for gap in gaps:
        for index, amount in _shares(gap, within, count):
            missing[index] += amount
    sizes = [0] * count
    for index, amount in _shares(within, within, count):
        sizes[index] += amount
    working = {index for one in hands for index, _ in _shares(one, within, count)}
    broken = {index for one in failed for index, _ in _shares(one, within, count)}
    cells = tuple(
        _state(missing[index], sizes[index], index in working, index in broken)
        for index in range(count)
    )
    return Strip(name, unit, within.size, 1 - sum(missing) / within.size, cells)


def _shares(piece: BatchRange, within: BatchRange, count: int) -> Iterator[tuple[int, int]]:
    """Return how much of ``piece`` lies in each of ``within``'s ``count`` cells that it touches."""
    start, stop = max(piece.start, within.start), min(piece.stop, within.stop)
    while start < stop:
        index = (start - within.start) * count // within.size
        ends = within.start + -(-(index + 1) * within.size // count)
        end = min(stop, ends)
        yield index, end - start
        start = end


def _state(missing: int, size: int, working: bool, broken: bool) -> CellState:
    if broken:
        return CellState.FAILED
    if not missing:
        return CellState.DONE
    if working:
        return CellState.WORKING
    return CellState.PART if missing < size else CellState.MISSING


def strip_picture(strip: Strip) -> str:
    """Draw the strip as SVG; colors are classes, so that light and dark pages differ."""
    cells = "".join(
        f'<rect class="{cell.value}" x="{index * 10}" y="0" width="10" height="28"/>'
        for index, cell in enumerate(strip.cells)
    )
    return (
        f'<svg class="strip" viewBox="0 0 {10 * len(strip.cells)} 28" '
        f'preserveAspectRatio="none" shape-rendering="crispEdges" role="img" '
        f'aria-label="{_escaped(strip.words)}">{cells}</svg>'
    )


def _escaped(text: str) -> str:
    replacements = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    return "".join(replacements.get(letter, letter) for letter in text)
