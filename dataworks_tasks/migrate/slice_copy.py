"""Copy one slice: read, change, write, with several writes on the wire."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.ledger.contract import RangeResult
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.migrate.copy_stats import CopyStats
from dataworks_tasks.migrate.deadly_document import CarefulSteps
from dataworks_tasks.migrate.document_change import DocumentChange
from dataworks_tasks.migrate.rules import rule_counters
from dataworks_tasks.migrate.zero_timestamps import with_empty_timestamps, write_one_by_one
from dataworks_tasks.rate_limits.reads import ReadCharges
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.scan.read_slice import Page, PageCutter, SliceSource, read_slice
from dataworks_tasks.scan.slice import Slice, SliceKind
from dataworks_tasks.scan.slice_progress import SliceProgress
from dataworks_tasks.store.bulk_write import WritePolicy, write_batch
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.write_budget import RateLimiter

MOST_BYTES_WAITING = 32 * 1024 * 1024
"""Bytes that all slices of a process have read and not written yet; one batch may be larger."""
_WRITE_SECONDS = 5.0
_PAUSE_SECONDS = 0.25


class Abandoned(Exception):
    """Work on the slice was asked to stop."""


class ByteBudget:
    """Bounds the bytes that wait in memory, whatever the size of a document."""

    def __init__(self, limit: int = MOST_BYTES_WAITING) -> None:
        self._limit = limit
        self._taken = 0
        self._changed = threading.Condition()

    def take(self, size: int) -> None:
        """Wait until ``size`` bytes fit, or nothing else is waiting."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + size <= self._limit)
            self._taken += size

    def give_back(self, size: int) -> None:
        """Return bytes that are written."""
        with self._changed:
            self._taken -= size
            self._changed.notify_all()


Wrote = Callable[[EncodedBatch], None]


def _nothing_to_note(_batch: EncodedBatch) -> None:
    """Note nothing of what was written."""


@dataclass(frozen=True, slots=True)
class CopyRoute:
    """The source and target of one collection, and what happens on the way.

    ``wrote``: called in the writing thread with each batch whose write was answered.
    """

    source: SliceSource
    change: DocumentChange
    target: BaseDatabaseClient
    namespace: Namespace
    policy: WritePolicy
    rate_limiter: RateLimiter | None = None
    wrote: Wrote = _nothing_to_note


@dataclass(frozen=True, slots=True)
class CopyResources:
    """What the slices of a process share."""

    writers: ThreadPoolExecutor
    budget: ByteBudget


class SliceCopy:
    """A slice on its way. It knows its progress: when run again, it continues from there."""

    def __init__(self, route: CopyRoute, slice_: Slice, resources: CopyResources) -> None:
        self._route = route
        self._resources = resources
        self._progress = SliceProgress[CopyStats](slice_)
        self._charges = ReadCharges()
        self._careful = CarefulSteps(slice_.documents_at_once)

    @property
    def pauses(self) -> bool:
        """Whether ``run`` stops after a few documents, to be called again."""
        return self._careful.size is not None

    def run(self, stopped: Callable[[], bool]) -> bool:
        """Copy what is left; False when it was stopped before the end.

        Raises StoreUnavailable when source or target do not answer, and terminal errors.
        """
        self._progress.begin()
        return _Attempt(
            self._route, self._resources, self._progress, self._charges, stopped, self._careful
        ).run()

    def part(self) -> tuple[RangeResult, bytes] | None:
        """Return what was completed since the last part, and the rest; None: nothing.

        May be called while ``run`` is running.
        """
        part = self._progress.part()
        return (self._result(part[0]), part[1]) if part else None

    def last_part(self) -> RangeResult:
        """Return what was completed since the last part, after ``run`` has returned."""
        return self._result(self._progress.last_part())

    def _result(self, parts: list[CopyStats]) -> RangeResult:
        stats = CopyStats()
        stats.add(parts)
        charge = self._charges.take()
        stats.read_request_units = charge.measured
        stats.read_request_units_estimated = charge.estimated
        return stats.result()


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One pass over what is left of a slice."""

    route: CopyRoute
    resources: CopyResources
    progress: SliceProgress[CopyStats]
    charges: ReadCharges
    stopped: Callable[[], bool]
    careful: CarefulSteps
    writes: deque[tuple[Future[CopyStats], Element | None]] = field(default_factory=deque)

    def run(self) -> bool:
        finished = False
        try:
            self._read()
            finished = True
        except Abandoned:
            pass
        finally:
            finished = self._collect() and finished
        return finished

    def _read(self) -> None:
        slice_ = self.progress.slice
        # A collection that keeps insertion order is written one batch after the other.
        in_order = slice_.kind is SliceKind.NATURAL or slice_.documents_at_once is not None
        after = self.progress.completed_to
        cutter = PageCutter(self.route.source, slice_)
        for batch in read_slice(
            self.route.source, slice_, after, self._pause, charged=self.charges.add
        ):
            for page in self._pages(cutter, batch):
                if self.stopped():
                    raise Abandoned
                self.writes.append((self._send(page.batch), page.position))
                while self.writes and (in_order or self.writes[0][0].done()):
                    # A batch that failed stays first, so that nothing after it counts as completed.
                    self._record(*self.writes[0])
                    self.writes.popleft()
                if slice_.documents_at_once is not None:
                    self.careful.completed += len(page.batch)
                    if page.position is None:
                        continue
                    if self.careful.are_enough:
                        self.progress.hurry()
                    raise Abandoned  # for the part to be recorded before the next document

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.stopped():
                raise Abandoned
            time.sleep(min(left, _PAUSE_SECONDS))

    def _pages(self, cutter: PageCutter, batch: EncodedBatch) -> Iterator[Page]:
        """Yield the batch in pages of one write each, so that a stop loses little."""
        route = self.route
        most = route.target.write_size.at_most(len(batch))
        if route.rate_limiter is not None:
            allowed = route.rate_limiter.max_documents(batch.size_bytes / len(batch))
            most = most if allowed is None else min(most, allowed)
        most = min(most, self.progress.slice.documents_at_once or most)
        parts = [batch] if most >= len(batch) else batch.split(most, batch.size_bytes)
        for part in parts:
            yield from cutter.pages(part)

    def _send(self, batch: EncodedBatch) -> Future[CopyStats]:
        if not len(batch):
            nothing: Future[CopyStats] = Future()
            nothing.set_result(CopyStats())
            return nothing
        changed = self.route.change(batch)
        stats = CopyStats(
            read=len(batch),
            dropped=changed.dropped,
            produced=changed.produced,
            bytes=changed.batch.size_bytes,
            rules=Counter(dict(rule_counters(changed.rules))),
        )
        stats.failures = [
            document_failure(self.route.source.namespace, document, reason)
            for document, reason in changed.refused
        ]
        self.resources.budget.take(changed.batch.size_bytes)
        return self.resources.writers.submit(self._write, changed.batch, stats)

    def _write(self, batch: EncodedBatch, stats: CopyStats) -> CopyStats:
        route, size = self.route, batch.size_bytes
        try:
            batch = self._write_exactly(batch, stats)
            while len(batch):
                if self.stopped():
                    raise Abandoned
                deadline = time.monotonic() + _WRITE_SECONDS
                result = write_batch(
                    route.target, route.namespace, batch, route.policy, route.rate_limiter, deadline
                )
                route.wrote(batch)
                stats.add_write(route.namespace, result)
                if not result.pending:
                    break
                batch = batch.select(result.pending)
                time.sleep(_PAUSE_SECONDS)  # the pause that the deadline cut off
            return stats
        finally:
            self.resources.budget.give_back(size)

    def _write_exactly(self, batch: EncodedBatch, stats: CopyStats) -> EncodedBatch:
        """Write what an insert would change; return the rest of the batch."""
        route = self.route
        rows = with_empty_timestamps(batch)
        if not rows or not route.target.capabilities.collection_stats:
            return batch
        exact = batch.select(rows)
        result = write_one_by_one(route.target, route.namespace, exact, route.policy)
        route.wrote(exact)
        stats.add_write(route.namespace, result)
        return batch.select(sorted(set(range(len(batch))).difference(rows)))

    def _record(self, write: Future[CopyStats], position: Element | None) -> None:
        self.progress.add(write.result(), position)

    def _collect(self) -> bool:
        """Wait for the writes on the wire; everything before the first failed one is completed.

        Raises the first error.
        """
        problem: BaseException | None = None
        while self.writes:
            write, position = self.writes.popleft()
            error = write.exception()  # waits, also for those after one that failed
            problem = problem or error
            if problem is None:
                self._record(write, position)
        if problem is not None and not isinstance(problem, Abandoned):
            raise problem
        return problem is None
