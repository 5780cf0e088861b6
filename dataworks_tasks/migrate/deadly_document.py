"""Find the document of a slice that kills every worker.

A slice is read in smaller and smaller steps, each recorded before the next one is begun. When a
worker dies in a step of one document, the next document is the cause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.ledger.contract import RangeResult
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.scan.read_slice import PageCutter, SliceSource, read_slice
from dataworks_tasks.scan.slice import Slice, slice_of_run
from dataworks_tasks.scan.slice_pool import CompletedSlice

STEPS = (256, 16, 1)
_ENOUGH = {1: 16, 16: 256, 256: 65_536}
"""After this many documents without a death, what killed the worker was not one of them."""
_DEATHS, _DEATHS_IN_STEPS, _DEATHS_ALONE = 2, 1, 3


@dataclass(slots=True)
class CarefulSteps:
    """How many documents were completed in steps of ``size`` by this process."""

    size: int | None
    completed: int = 0

    @property
    def are_enough(self) -> bool:
        """Whether the slice no longer needs to be read in steps."""
        return self.size is not None and self.completed >= _ENOUGH.get(self.size, self.size)


@dataclass(frozen=True, slots=True)
class DeadlySlice:
    """A slice that must not be retried unchanged, and its bytes in the ledger."""

    number: int
    data: bytes
    slice: Slice
    deaths: int

    def reason(self, documents: Sequence[bytes]) -> str:
        """Say why ``documents`` are left out."""
        which = (
            "it" if len(documents) == 1 else f"it and the {len(documents) - 1} others with its key"
        )
        return f"every worker that tried {which} died ({self.deaths} of {self.deaths})"

    def completed(self, result: RangeResult, rest: Slice | None) -> CompletedSlice:
        """Return what to record: ``result``, and what is left of the slice."""
        return CompletedSlice(
            self.number, result, self.data, rest.to_bytes() if rest is not None else b""
        )


def deadly_slice(
    context: RunContext, number: int, deaths: int, collections: int
) -> DeadlySlice | None:
    """Return slice ``number``, which killed workers; None if it may be retried, or is gone.

    ``deaths`` counts since a part of the slice was last recorded.
    """
    wanted = BatchRange(number, number + 1)
    data = context.ledger.slices(context.spec.run_id, wanted).get(number)
    if data is None:
        return None
    slice_ = slice_of_run(number, data, collections)
    return DeadlySlice(number, data, slice_, deaths) if _is_deadly(slice_, deaths) else None


def _is_deadly(slice_: Slice, deaths: int) -> bool:
    if slice_.documents_at_once is None:
        return deaths >= _DEATHS
    return deaths >= (_DEATHS_ALONE if slice_.documents_at_once == 1 else _DEATHS_IN_STEPS)


def in_smaller_steps(slice_: Slice) -> Slice | None:
    """Return the slice with smaller steps; None if they already have one document."""
    now = slice_.documents_at_once
    smaller = next((size for size in STEPS if now is None or size < now), None)
    return None if smaller is None else replace(slice_, documents_at_once=smaller)


def without_next(source: SliceSource, slice_: Slice) -> tuple[list[bytes], Slice | None]:
    """Return the next document of the slice, and the slice after it; None if it was the last one.

    Several documents are returned where they have the same key: reading cannot continue between
    them.
    """
    found: list[bytes] = []
    for batch, position in _one_by_one(replace(source, batch_size=2), slice_):
        found += batch.documents()
        if position is not None and found:
            # The next one may be as deadly, so the slice is not read at full speed immediately.
            return found, replace(slice_, completed_to=position, documents_at_once=STEPS[-2])
    return found, None


def _one_by_one(
    source: SliceSource, slice_: Slice
) -> Iterator[tuple[EncodedBatch, Element | None]]:
    cutter = PageCutter(source, slice_)
    for batch in read_slice(source, slice_):
        for row in range(len(batch)):
            yield from cutter.pages(batch.slice(row, row + 1))
