"""The work of verifying a migration in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from dataworks_tasks.errors import SpecRefused, UnknownName
from dataworks_tasks.ledger.contract import DocumentFailure, RangeResult, RunState
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.ledger.run_note import SCHEMA, NoteTopic, RunNote
from dataworks_tasks.migrate.collection_options import same_order
from dataworks_tasks.migrate.copy_stats import by_collection
from dataworks_tasks.migrate.deadly_document import deadly_slice, in_smaller_steps, without_next
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.migrate.route import document_change, repeated_ids, slice_source, source_of
from dataworks_tasks.migrate.run_guards import RunGuards
from dataworks_tasks.migrate.schema_comparison import (
    compare_indexes,
    compare_options,
    compare_views,
)
from dataworks_tasks.numerals import counted
from dataworks_tasks.range_work import RangeWork, RunContext
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import FinishLease, StopSignal
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, VerificationJob
from dataworks_tasks.scan.key_space import ID
from dataworks_tasks.scan.slice import SliceKind, slice_of_run
from dataworks_tasks.scan.slice_pool import CompletedSlice, SliceJob, Stopped, run_slices
from dataworks_tasks.verify.comparison import Comparison
from dataworks_tasks.verify.result import verification_result
from dataworks_tasks.verify.slice_verification import (
    SliceVerification,
    VerificationRoute,
    not_compared,
)


class MigrationVerificationWork(RangeWork):
    """Compares slices of the source, changed as the run changed them, with the target.

    Raises SpecRefused for a run that verifies no migration, SettingsError when this process has no
    source.
    """

    def __init__(self, context: RunContext) -> None:
        job = context.spec.job
        if not isinstance(job, VerificationJob) or not isinstance(job.of, MigrationJob):
            raise SpecRefused(f"{context.spec.run_id} does not verify a migration")
        self._context = context
        self._exclusive = job.exclusive
        self._job = job.of
        self._guards = RunGuards(context.spec, context.config, source_of(context), context.target)
        self._routes = [self._route(pair) for pair in job.of.namespaces]
        cursors = context.config.parallel_cursors
        self._slices = ThreadPoolExecutor(cursors, thread_name_prefix="verify-slice")
        self._readers = ThreadPoolExecutor(2 * cursors, thread_name_prefix="read-slice")

    def _route(self, pair: NamespacePair) -> VerificationRoute:
        strategy = MigrationStrategyFactory.create(self._job.strategy)
        source = slice_source(self._context, self._job, pair, self._guards)
        return VerificationRoute(
            source=source,
            change=document_change(self._job, pair),
            target=replace(
                source,
                client=self._context.target,
                namespace=pair.target,
                also=None,
                rate_limiter=self._context.target_reads,
                check=self._guards.target.checks(pair.target, pair.target_uuid),
                repeated_ids=repeated_ids(self._context.target, pair.target),
            ),
            keys_stay=strategy.copies_raw
            and source.field == ID
            and not pair.id_from
            and same_order(source.client, pair.source, self._context.target, pair.target),
        )

    def run(self, wanted: BatchRange, stop: StopSignal) -> Iterator[CompletedSlice]:
        context = self._context
        slices = context.ledger.slices(context.spec.run_id, wanted)
        return run_slices(self._slices, context.config.parallel_cursors, slices, self._open, stop)

    def _open(self, number: int, data: bytes) -> SliceJob:
        slice_ = slice_of_run(number, data, len(self._routes))
        verification = SliceVerification(self._routes[slice_.pair], slice_, self._readers)
        return _VerificationJob(verification, partial(self._result, slice_.pair))

    def isolate(self, number: int, deaths: int) -> CompletedSlice | None:
        """Change slice ``number`` so that the document that kills workers is found or left out.

        None: the slice may be retried unchanged.
        """
        deadly = deadly_slice(self._context, number, deaths, len(self._routes))
        if deadly is None:
            return None
        slice_ = deadly.slice
        smaller = in_smaller_steps(slice_)
        route = self._routes[slice_.pair]
        if smaller is not None:
            by_id = route.keys_stay and slice_.kind is SliceKind.NATURAL
            return deadly.completed(
                RangeResult({RunCounter.COMPARED_BY_ID: 1} if by_id else {}), smaller
            )
        documents, rest = without_next(route.source, slice_)
        through = rest.completed_to if rest else None
        result = self._result(slice_.pair, not_compared(route, slice_, documents, through))
        reason = f"not compared: {deadly.reason(documents)}"
        ids = {document_failure(route.target.namespace, each, "").document_id for each in documents}
        failures = tuple(
            replace(each, reason=reason) if each.document_id in ids else each
            for each in result.failures
        )
        return deadly.completed(replace(result, failures=failures), rest)

    def _result(self, pair: int, comparison: Comparison) -> RangeResult:
        self._guards.check(self._job.namespaces[pair])
        if not self._exclusive:
            comparison = replace(comparison, extra=())
        result = verification_result(self._routes[pair].target.namespace, comparison)
        return by_collection(result, self._job, pair)

    def finish(self, lease: FinishLease) -> bool:
        """Compare indexes, options and views, and count surplus documents.

        A cut-over builds indexes and sets validators: before it, they are no differences.

        If a strategy may give documents other keys, slices cannot detect surplus documents; nor can
        a slice in insertion order whose documents were compared by their ``_id``.
        """
        self._compare_schema()
        counters = self._context.ledger.progress(self._context.spec.run_id).counters
        all_seen = all(route.keys_stay for route in self._routes)
        if self._exclusive and (not all_seen or counters.get(RunCounter.COMPARED_BY_ID)):
            self._count_extra(counters)
        return True

    def _compare_schema(self) -> None:
        context, job = self._context, self._job
        source, target = source_of(context), context.target
        awaits = self._awaits_cut_over()
        if awaits:
            text = "not compared, because the cut-over builds them"
            notes = [RunNote(NoteTopic.INDEXES, "", text, attention=False)]
        else:
            notes = compare_indexes(source, target, job, exclusive=self._exclusive)
        if (
            target.capabilities.collection_stats
        ):  # otherwise the migration notes what cannot exist there
            notes += compare_options(source, target, job, validators=not awaits)
        notes += compare_views(source, target, job)
        self._guards.check_all(job)
        for topic in SCHEMA:
            found = [note for note in notes if note.topic is topic]
            context.ledger.set_notes(context.spec.run_id, topic, found)

    def _awaits_cut_over(self) -> bool:
        """Return whether the run that is verified still follows its source."""
        of, ledger = self._context.spec.job, self._context.ledger
        if self._job.follow is None or not isinstance(of, VerificationJob):
            return False
        try:
            return ledger.state(of.run_id) is not RunState.COMPLETE
        except UnknownName:
            return False  # its record has expired since

    def _count_extra(self, counters: Mapping[str, int]) -> None:
        context = self._context
        at_the_target = (RunCounter.EQUAL, RunCounter.DIFFERENT, RunCounter.EXTRA)
        known = sum(counters.get(name, 0) for name in at_the_target)
        there = sum(context.target.count(pair.target) for pair in self._job.namespaces)
        if there > known:
            names = ", ".join(str(pair.target) for pair in self._job.namespaces)
            extra = f"{counted(there - known, 'document is', 'documents are')} not in the source"
            context.ledger.record_failures(
                context.spec.run_id, [DocumentFailure("extra", "(unknown)", names, extra)]
            )

    def close(self) -> None:
        """Stop the threads."""
        self._slices.shutdown(wait=True, cancel_futures=True)
        self._readers.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _VerificationJob:
    """Implements ``SliceJob`` with results of comparisons."""

    verification: SliceVerification
    result: Callable[[Comparison], RangeResult]

    @property
    def pauses(self) -> bool:
        return self.verification.pauses

    def run(self, stopped: Stopped) -> bool:
        return self.verification.run(stopped)

    def part(self) -> tuple[RangeResult, bytes] | None:
        part = self.verification.part()
        return (self.result(part[0]), part[1]) if part else None

    def last_part(self) -> RangeResult:
        return self.result(self.verification.last_part())
