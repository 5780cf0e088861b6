"""The work of a migration run in one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

from dataworks_tasks.errors import RunFailed, SpecRefused, TerminalError
from dataworks_tasks.ledger.contract import DocumentFailure, RangeResult
from dataworks_tasks.migrate.copy_stats import by_collection
from dataworks_tasks.migrate.finish_migration import finish_migration
from dataworks_tasks.migrate.route import document_change, slice_source, source_of
from dataworks_tasks.migrate.run_guards import RunGuards
from dataworks_tasks.migrate.slice_copy import ByteBudget, CopyResources, CopyRoute, SliceCopy
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import FinishLease, StopSignal
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, OnError
from dataworks_tasks.scan.read_slice import SliceInterrupted
from dataworks_tasks.scan.slice import slice_of_run
from dataworks_tasks.scan.slice_pool import SliceTask, Stopped, run_slices
from dataworks_tasks.store.bulk_write import WritePolicy

_TRIES_FROM_START = 3


class MigrationWork:
    """Copies slices: up to ``parallel_cursors`` read at once, ``max_insert_workers`` writes.

    Slices are checkpointed part by part, so the next process continues after what is completed.
    Raises SpecRefused for a run that is not a migration, SettingsError when this process has no
    source.
    """

    def __init__(self, context: RunContext) -> None:
        job = context.spec.job
        if not isinstance(job, MigrationJob):
            raise SpecRefused(f"{context.spec.run_id} is not a migration")
        self._context = context
        self._job = job
        self._guards = RunGuards(context.spec, source_of(context), context.target)
        self._routes = [self._route(pair) for pair in job.namespaces]
        self._readers = ThreadPoolExecutor(
            context.config.parallel_cursors, thread_name_prefix="read-slice"
        )
        writers = ThreadPoolExecutor(
            context.config.max_insert_workers, thread_name_prefix="write-batch"
        )
        self._resources = CopyResources(writers, ByteBudget())
        self._copies: dict[int, SliceCopy] = {}  # of the slices that are being worked on

    def _route(self, pair: NamespacePair) -> CopyRoute:
        context, spec = self._context, self._context.spec
        return CopyRoute(
            source=slice_source(context, self._job, pair, self._guards),
            change=document_change(self._job),
            target=context.target,
            namespace=pair.target,
            policy=WritePolicy(spec.write_concern, self._job.on_conflict),
            rate_limiter=context.rate_limiter,
        )

    def run(self, wanted: BatchRange, stop: StopSignal) -> Iterator[tuple[BatchRange, RangeResult]]:
        """See ``RangeWork.run``. Slices that are acknowledged already are left out."""
        context = self._context
        slices = context.ledger.slices(context.spec.run_id, wanted)
        task = SliceTask(self._work, self._part)
        try:
            yield from run_slices(
                self._readers, context.config.parallel_cursors, slices, task, stop
            )
        finally:
            self._copies.clear()

    def _work(self, number: int, data: bytes, stopped: Stopped) -> RangeResult | None:
        slice_ = slice_of_run(number, data, len(self._routes))
        copy = self._copies[number] = SliceCopy(self._routes[slice_.pair], slice_)
        try:
            if not self._run(copy, stopped):
                return None
        except TerminalError:
            # Of a collection that is dropped meanwhile, a server only says that its cursor is gone.
            self._guards.check(self._job.namespaces[slice_.pair])
            raise
        return self._checked(copy.last_part(), slice_.pair)

    def _part(self, number: int) -> RangeResult | None:
        copy = self._copies.get(number)
        result = copy.part() if copy else None
        return self._checked(result, copy.slice.pair) if copy and result else None

    def _checked(self, result: RangeResult, pair: int) -> RangeResult:
        # What was read and written before counts only if the collections are still the same.
        self._guards.check(self._job.namespaces[pair])
        if result.failures and self._context.spec.on_error is OnError.STOP:
            self._fail(result.failures)
        return by_collection(result, self._job, pair)

    def _run(self, copy: SliceCopy, stopped: Stopped) -> bool:
        for _ in range(_TRIES_FROM_START):
            try:
                return copy.run(self._resources, stopped)
            except SliceInterrupted:
                continue
        return copy.run(self._resources, stopped)

    def _fail(self, failures: Sequence[DocumentFailure]) -> NoReturn:
        run_id = self._context.spec.run_id
        self._context.ledger.record_failures(run_id, failures)
        first = failures[0]
        raise RunFailed(
            f"document {first.document_id} of {first.namespace} was not written: {first.reason}",
            f"See them all with: dataworks failures {run_id}",
        )

    def finish(self, lease: FinishLease) -> bool:
        """Build the indexes and compare the counts. Raises RunFailed when an index cannot be."""
        return finish_migration(self._context, self._job, self._guards, lease)

    def close(self) -> None:
        """Let go of the threads."""
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._resources.writers.shutdown(wait=True, cancel_futures=True)
