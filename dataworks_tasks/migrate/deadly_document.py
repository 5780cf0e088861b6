"""Find the document of a slice that kills every worker.

A slice is read in smaller and smaller steps, each recorded before the next one is begun. When a
worker dies in steps of one document, the next document is the one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.scan.read_slice import PageCutter, SliceSource, read_slice
from dataworks_tasks.scan.slice import Slice

STEPS = (256, 16, 1)
_ENOUGH = {1: 16, 16: 256, 256: 65_536}
"""So many documents without a death, and whatever killed the worker was not one of them."""
_DEATHS, _DEATHS_IN_STEPS, _DEATHS_ALONE = 2, 1, 3


@dataclass(slots=True)
class CarefulSteps:
    """How many documents were completed in steps of ``size`` by this process."""

    size: int | None
    completed: int = 0

    @property
    def are_enough(self) -> bool:
        """Whether the slice need not be read in steps any longer."""
        return self.size is not None and self.completed >= _ENOUGH.get(self.size, self.size)


def is_deadly(slice_: Slice, deaths: int) -> bool:
    """Whether the slice must not be tried as it is; ``deaths``: since something was recorded."""
    if slice_.documents_at_once is None:
        return deaths >= _DEATHS
    return deaths >= (_DEATHS_ALONE if slice_.documents_at_once == 1 else _DEATHS_IN_STEPS)


def in_smaller_steps(slice_: Slice) -> Slice | None:
    """Return the slice with smaller steps; None where they have one document already."""
    now = slice_.documents_at_once
    smaller = next((size for size in STEPS if now is None or size < now), None)
    return None if smaller is None else replace(slice_, documents_at_once=smaller)


def without_next(source: SliceSource, slice_: Slice) -> tuple[list[bytes], Slice | None]:
    """Return the next document of the slice, and the slice after it; None: it was the last one.

    Several documents are returned where they have the same key: reading cannot continue between
    them.
    """
    found: list[bytes] = []
    for batch, position in _one_by_one(replace(source, batch_size=2), slice_):
        found += batch.documents()
        if position is not None and found:
            # The next one may be as deadly, so the slice is not read at full speed at once.
            return found, replace(slice_, completed_to=position, documents_at_once=STEPS[-2])
    return found, None


def _one_by_one(
    source: SliceSource, slice_: Slice
) -> Iterator[tuple[EncodedBatch, Element | None]]:
    cutter = PageCutter(source, slice_)
    for batch in read_slice(source, slice_):
        for row in range(len(batch)):
            yield from cutter.pages(batch.slice(row, row + 1))
