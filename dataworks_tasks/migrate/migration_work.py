"""The work of a migration run in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import RunFailed, SpecRefused, TerminalError
from dataworks_tasks.ledger.contract import DocumentFailure, RangeResult
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.migrate.copy_stats import CopyStats, by_collection
from dataworks_tasks.migrate.deadly_document import deadly_slice, in_smaller_steps, without_next
from dataworks_tasks.migrate.finish_migration import finish_migration
from dataworks_tasks.migrate.route import document_change, slice_source, source_of
from dataworks_tasks.migrate.run_guards import RunGuards
from dataworks_tasks.migrate.slice_copy import ByteBudget, CopyResources, CopyRoute, SliceCopy
from dataworks_tasks.range_work import RangeWork, RunContext
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.choices import OnError
from dataworks_tasks.runs.lease import FinishLease, StopSignal
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.scan.read_slice import SliceInterrupted
from dataworks_tasks.scan.slice import slice_of_run
from dataworks_tasks.scan.slice_pool import CompletedSlice, SliceJob, Stopped, run_slices
from dataworks_tasks.store.bulk_write import WritePolicy

_TRIES_FROM_START = 3

WroteBatch = Callable[[int, EncodedBatch], None]


class MigrationWork(RangeWork):
    """Copies slices: up to ``parallel_cursors`` read at once, ``max_insert_workers`` writes.

    Slices are checkpointed part by part, so the next process continues after what is completed.
    Raises SpecRefused for a run that is not a migration, SettingsError when this process has no
    source.
    """

    def __init__(self, context: RunContext, wrote: WroteBatch | None = None) -> None:
        """``wrote``: called with the number of the pair and each batch whose write was answered."""
        job = context.spec.job
        if not isinstance(job, MigrationJob):
            raise SpecRefused(f"{context.spec.run_id} is not a migration")
        self._context = context
        self._job = job
        self._guards = RunGuards(context.spec, context.config, source_of(context), context.target)
        self._routes = [self._route(pair) for pair in job.namespaces]
        if wrote is not None:
            self._routes = [
                replace(route, wrote=partial(wrote, number))
                for number, route in enumerate(self._routes)
            ]
        self._readers = ThreadPoolExecutor(
            context.config.parallel_cursors, thread_name_prefix="read-slice"
        )
        writers = ThreadPoolExecutor(
            context.config.max_insert_workers, thread_name_prefix="write-batch"
        )
        self._resources = CopyResources(writers, ByteBudget())

    def _route(self, pair: NamespacePair) -> CopyRoute:
        context, spec = self._context, self._context.spec
        return CopyRoute(
            source=slice_source(context, self._job, pair, self._guards),
            change=document_change(self._job, pair),
            target=context.target,
            namespace=pair.target,
            policy=WritePolicy(spec.write_concern, self._job.on_conflict),
            rate_limiter=context.rate_limiter,
        )

    def run(self, wanted: BatchRange, stop: StopSignal) -> Iterator[CompletedSlice]:
        context = self._context
        slices = context.ledger.slices(context.spec.run_id, wanted)
        return run_slices(self._readers, context.config.parallel_cursors, slices, self._open, stop)

    def _open(self, number: int, data: bytes) -> SliceJob:
        slice_ = slice_of_run(number, data, len(self._routes))
        copy = SliceCopy(self._routes[slice_.pair], slice_, self._resources)
        check = partial(self._guards.check, self._job.namespaces[slice_.pair])
        return _CopyJob(copy, check, partial(self._checked, slice_.pair))

    def _checked(self, pair: int, result: RangeResult) -> RangeResult:
        # What was read and written so far counts only if the collections are still the same.
        self._guards.check(self._job.namespaces[pair])
        if result.failures and self._context.spec.on_error is OnError.STOP:
            self._fail(result.failures)
        return by_collection(result, self._job, pair)

    def _fail(self, failures: Sequence[DocumentFailure]) -> NoReturn:
        run_id = self._context.spec.run_id
        self._context.ledger.record_failures(run_id, failures)
        first = failures[0]
        raise RunFailed(
            f"document {first.document_id} of {first.namespace} was not written: {first.reason}",
            f"See them all with: dataworks failures {run_id}",
        )

    def isolate(self, number: int, deaths: int) -> CompletedSlice | None:
        """Change slice ``number`` so that the document that kills workers is found or left out.

        None: the slice may be retried unchanged.
        """
        deadly = deadly_slice(self._context, number, deaths, len(self._routes))
        if deadly is None:
            return None
        smaller = in_smaller_steps(deadly.slice)
        if smaller is not None:
            return deadly.completed(RangeResult({}), smaller)
        source = self._routes[deadly.slice.pair].source
        documents, rest = without_next(source, deadly.slice)
        reason = deadly.reason(documents)
        failures = [document_failure(source.namespace, one, reason) for one in documents]
        result = CopyStats(read=len(documents), failures=failures).result()
        return deadly.completed(self._checked(deadly.slice.pair, result), rest)

    def finish(self, lease: FinishLease) -> bool:
        """Build the indexes and compare the counts. See ``finish_migration``."""
        return finish_migration(self._context, self._job, self._guards, lease)

    def close(self) -> None:
        """Stop the threads."""
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._resources.writers.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _CopyJob:
    """Implements ``SliceJob``: a copy that is tried again, and whose results are checked."""

    copy: SliceCopy
    check_collections: Callable[[], None]
    checked: Callable[[RangeResult], RangeResult]

    @property
    def pauses(self) -> bool:
        return self.copy.pauses

    def run(self, stopped: Stopped) -> bool:
        """Copy what is left, from the start again where the cursor could not be continued."""
        try:
            for _ in range(_TRIES_FROM_START):
                try:
                    return self.copy.run(stopped)
                except SliceInterrupted:
                    continue
            return self.copy.run(stopped)
        except TerminalError:
            # If a collection is dropped meanwhile, the server only says that the cursor is gone.
            self.check_collections()
            raise

    def part(self) -> tuple[RangeResult, bytes] | None:
        part = self.copy.part()
        return (self.checked(part[0]), part[1]) if part else None

    def last_part(self) -> RangeResult:
        return self.checked(self.copy.last_part())
