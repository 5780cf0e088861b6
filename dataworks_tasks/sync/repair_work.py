"""The work of a repair in one process: key windows of what a verification found to differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from threading import Event

from dataworks_tasks.documents.raw_bson import Element, element_bytes
from dataworks_tasks.errors import SpecRefused
from dataworks_tasks.generate.finish_generation import finish_generation
from dataworks_tasks.generate.generation_work import DOCUMENTS_PER_COMPARISON, PartSource
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.ledger.key_windows import Append
from dataworks_tasks.migrate.document_change import unchanged
from dataworks_tasks.range_work import RangeWork, RunContext
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import FinishLease, StopSignal
from dataworks_tasks.runs.spec import MigrationJob, RepairJob
from dataworks_tasks.sync.key_window import KeyWindow
from dataworks_tasks.sync.listed_differences import ListedDifference, read_differences
from dataworks_tasks.sync.reconcile import KeyRoute
from dataworks_tasks.sync.routes import migration_routes
from dataworks_tasks.sync.still_different import source_digests, still_different
from dataworks_tasks.sync.target_keys import TargetCollection
from dataworks_tasks.sync.wanted import GeneratedDocuments
from dataworks_tasks.sync.window_work import CompletedWindow, WindowRun, work_on_windows

_KEYS_AT_ONCE = 500
_DUE_AT_ONCE = 20
_LOOKS = 20
_LOOK_SECONDS = 0.5


class RepairWork(RangeWork):
    """Reconciles what a verification listed, then compares exactly that again.

    ``sources``: of a generation run, what makes its documents. Raises SpecRefused for a run that
    is not a repair, SettingsError when this process has no source for a migration.
    """

    def __init__(self, context: RunContext, sources: Sequence[PartSource] = ()) -> None:
        job = context.spec.job
        if not isinstance(job, RepairJob):
            raise SpecRefused(f"{context.spec.run_id} is not a repair")
        self._context, self._job, self._sources = context, job, tuple(sources)
        if isinstance(job.of, MigrationJob):
            self._routes = migration_routes(context, job.of, deletes=job.delete_extra)
        self._run = WindowRun(
            context, job.claims, self._route, followed=self._is_live, counter="documents"
        )

    def run(self, wanted: BatchRange, stop: StopSignal) -> Iterator[CompletedWindow]:
        windows = self._context.ledger.slices(self._context.spec.run_id, wanted)
        yield from work_on_windows(self._run, windows, stop)

    def finish(self, lease: FinishLease) -> bool:
        """Compare what was listed again; what still differs becomes a failure of this run.

        Fields that a template computes from other collections are computed again.
        """
        context = self._context
        if not self._nothing_is_deferred(lease):
            return False
        differences = read_differences(context.ledger, self._job)
        while batch := list(islice(differences, _KEYS_AT_ONCE)):
            if lease.reached:
                return False
            failures = self._still_different(batch)
            if failures and self._is_live:
                unchanged_ones = self._look_again(batch, failures, lease)
                if unchanged_ones is None:
                    return False
                failures = unchanged_ones
            if failures:
                context.ledger.record_failures(context.spec.run_id, failures)
        asked = [
            (source.part.namespace, (), source.aggregations)
            for source in self._sources
            if source.aggregations
        ]
        return finish_generation(context, asked, lease)

    def close(self) -> None:
        """Nothing is kept."""

    def _look_again(
        self,
        batch: Sequence[ListedDifference],
        failures: list[DocumentFailure],
        lease: FinishLease,
    ) -> list[DocumentFailure] | None:
        """Return what still differs though nobody changes it; None: the lease is over.

        A document that changes meanwhile belongs to the run that follows the source, which takes a
        moment.
        """
        before, looks = self._in_the_source(batch), int(lease.position or 0)
        while failures and looks < _LOOKS:
            Event().wait(_LOOK_SECONDS)
            looks += 1
            lease.note(str(looks))
            now = self._in_the_source(batch)
            failing = {failure.bson_id for failure in failures}
            batch = [
                each
                for each in batch
                if element_bytes(each.key).hex() in failing
                and now.get(_name(each)) == before.get(_name(each))
            ]
            failures = self._still_different(batch)
            if failures and lease.reached:
                return None
        lease.note("")
        return failures

    def _in_the_source(self, batch: Sequence[ListedDifference]) -> dict[tuple[int, bytes], bytes]:
        """Return the digest of each document by its collection pair and key, as it is now."""
        found: dict[tuple[int, bytes], bytes] = {}
        by_pair: dict[int, list[Element]] = {}
        for each in batch:
            by_pair.setdefault(each.pair, []).append(each.key)
        for pair, keys in by_pair.items():
            digests = source_digests(self._routes[pair], keys)
            found.update({(pair, key): value for key, value in digests.items()})
        return found

    @property
    def _is_live(self) -> bool:
        """Whether the repaired run follows its source."""
        return isinstance(self._job.of, MigrationJob) and self._job.of.follow is not None

    def _nothing_is_deferred(self, lease: FinishLease) -> bool:
        """Append windows that are due once more; False while there are any."""
        windows, run_id = self._context.ledger.key_windows, self._context.spec.run_id
        while (status := windows.status(run_id)).deferred:
            left = status.deferred_until - windows.now()
            lease.show(lambda left=left: f"waiting {max(0, left):.0f} s for late writes")  # type: ignore[misc]
            if windows.append(run_id, Append(due=_DUE_AT_ONCE)):
                return False
            if lease.reached:
                return False
            Event().wait(min(max(left, 0.05), 1.0))
        return True

    def _still_different(self, batch: Sequence[ListedDifference]) -> list[DocumentFailure]:
        by_route: dict[tuple[int, int | None], list[Element]] = {}
        for difference in batch:
            by_route.setdefault((difference.pair, difference.first), []).append(difference.key)
        return [
            failure
            for (pair, index), keys in by_route.items()
            for failure in still_different(
                self._route(KeyWindow(pair, tuple(keys), index=index)),
                keys,
                self._left_out(pair),
                deletes=self._job.delete_extra,
                twice=True,
            )
        ]

    def _left_out(self, pair: int) -> Sequence[str]:
        """Fields that are computed later, from what other collections hold."""
        if not self._sources:
            return ()
        return [aggregation.target for aggregation in self._sources[pair].aggregations]

    def _route(self, window: KeyWindow) -> KeyRoute:
        if not self._sources:
            return self._routes[window.pair]
        context, source = self._context, self._sources[window.pair]
        first = (window.index or source.part.first) - source.part.first
        last = min(first + DOCUMENTS_PER_COMPARISON, source.part.count)
        # A document without a place in the run should not be there.
        stop = first if window.index is None else last
        return KeyRoute(
            GeneratedDocuments(source.documents, first, stop),
            unchanged,
            TargetCollection(
                context.target,
                source.part.namespace,
                context.spec.write_concern,
                context.rate_limiter,
            ),
            bound=lambda: None,
            deletes=self._job.delete_extra,
        )


def _name(difference: ListedDifference) -> tuple[int, bytes]:
    return difference.pair, element_bytes(difference.key)
