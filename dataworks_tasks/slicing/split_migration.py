"""Cut collections into slices: streaming, resumable, and several collections side by side."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from dataworks_tasks.documents.raw_bson import assemble, elements, embedded
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.scan.slice import Slice
from dataworks_tasks.slicing.collection_keys import CollectionKeys
from dataworks_tasks.slicing.partitioners import SizedSlice, partition
from dataworks_tasks.store.client import BaseDatabaseClient

COLLECTIONS_AT_ONCE = 8
_LARGEST_GROUP = 50


@dataclass(frozen=True, slots=True)
class SliceBatch:
    """Slices to append to the ledger in one step, and how many documents they are expected to hold.

    Planning continues from the last of them, so keep a group together. ``by_collection`` has the
    documents by target collection; it is empty for a job of one.
    """

    slices: tuple[bytes, ...]
    documents: int
    by_collection: Mapping[str, int]
    collections: tuple[int, ...]


class _Planning(NamedTuple):
    pair: int
    parts: Iterator[SizedSlice]


def plan_slices(
    source: BaseDatabaseClient,
    job: MigrationJob,
    batch_size: int,
    resume_from: bytes | None = None,
) -> Iterator[SliceBatch]:
    """Yield slices of every collection of ``job`` that together cover each complete key space.

    Collections take turns, up to ``COLLECTIONS_AT_ONCE`` of them, so a small one need not wait for
    a large one. The first groups are small: workers begin at once. ``resume_from`` is the last
    slice that is on record.
    Raises UnknownName for a partitioner or strategy that does not exist, StoreUnavailable when the
    source does not answer for long.
    """
    return _Planner(source, job, batch_size).plan(resume_from)


class _Planner:
    def __init__(self, source: BaseDatabaseClient, job: MigrationJob, batch_size: int) -> None:
        self._source = source
        self._job = job
        self._batch_size = batch_size
        self._field = MigrationStrategyFactory.create(job.strategy).resume_field.encode()
        self._last: dict[int, Slice] = {}  # by pair, of the collections that are being planned

    def plan(self, resume_from: bytes | None) -> Iterator[SliceBatch]:
        next_pair = self._restore(resume_from)
        active = [self._begin(pair) for pair in sorted(self._last)]
        size = 1
        while True:
            while len(active) < COLLECTIONS_AT_ONCE and next_pair < len(self._job.namespaces):
                active.append(self._begin(next_pair))
                next_pair += 1
            if not active:
                return
            group, active = self._turn(active, size)
            if group:
                yield self._planned(group, next_pair)
            size = min(2 * size, _LARGEST_GROUP)

    def _begin(self, pair: int) -> _Planning:
        keys = CollectionKeys(
            self._source,
            self._job.namespaces[pair].source,
            self._field,
            self._batch_size,
        )
        return _Planning(pair, partition(keys, self._job.partitioner, pair, self._last.get(pair)))

    def _turn(
        self, active: Sequence[_Planning], size: int
    ) -> tuple[list[SizedSlice], list[_Planning]]:
        """Return about ``size`` slices, alternating between collections, and who has more."""
        group: list[SizedSlice] = []
        going = list(active)
        for _ in range(max(1, size // len(active))):
            for planning in list(going):
                part = next(planning.parts, None)
                if part is None:
                    going.remove(planning)
                    self._last.pop(planning.pair, None)
                else:
                    group.append(part)
                    self._last[planning.pair] = part.slice
        return group, going

    def _planned(self, group: Sequence[SizedSlice], next_pair: int) -> SliceBatch:
        slices = [part.slice for part in group]
        last = slices[-1]
        others = {pair: slice_ for pair, slice_ in self._last.items() if pair != last.pair}
        if others or last.pair != next_pair - 1:
            slices[-1] = replace(last, planner_state=_planner_state(next_pair, others))
        return SliceBatch(
            tuple(slice_.to_bytes() for slice_ in slices),
            sum(part.documents for part in group),
            self._by_collection(group),
            tuple(slice_.pair for slice_ in slices) if len(self._job.namespaces) > 1 else (),
        )

    def _by_collection(self, group: Sequence[SizedSlice]) -> Mapping[str, int]:
        found: Counter[str] = Counter()
        for part in group:
            found[str(self._job.namespaces[part.slice.pair].target)] += part.documents
        return found

    def _restore(self, resume_from: bytes | None) -> int:
        """Restore the state of the last slice; return the number of the next collection."""
        if resume_from is None:
            return 0
        last = Slice.from_bytes(resume_from)
        if last.planner_state is None:
            self._last = {last.pair: last}
            return last.pair + 1
        next_pair = 0
        for element in elements(last.planner_state):
            if element.name == b"n":
                next_pair = int(struct.unpack("<i", element.value)[0])
            else:
                self._last[int(element.name)] = Slice.from_bytes(element.value)
        self._last[last.pair] = replace(last, planner_state=None)
        return next_pair


def _planner_state(next_pair: int, others: dict[int, Slice]) -> bytes:
    fields = [b"\x10n\0" + struct.pack("<i", next_pair)]
    fields += [
        embedded(str(pair).encode(), replace(slice_, planner_state=None).to_bytes())
        for pair, slice_ in others.items()
    ]
    return assemble(fields)
