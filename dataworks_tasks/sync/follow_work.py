"""The work of a migration that follows its source: copy slices, then reconcile key windows."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from threading import Event

from bson.timestamp import Timestamp

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import LedgerUnavailable, SpecRefused, TransientError
from dataworks_tasks.ledger.contract import RangeResult
from dataworks_tasks.ledger.key_windows import ClaimRequest
from dataworks_tasks.migrate.migration_work import MigrationWork
from dataworks_tasks.range_work import Completed, RangeWork, RunContext
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.choices import OnError
from dataworks_tasks.runs.lease import FinishLease, StopSignal
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.scan.slice_pool import CompletedSlice
from dataworks_tasks.sync.claims import Claim, ClaimKeeper, ClaimTerms
from dataworks_tasks.sync.deadly_keys import isolate_window
from dataworks_tasks.sync.follow_place import PLACE, FollowPlace, first_place
from dataworks_tasks.sync.key_window import (
    KeyWindow,
    id_of_failure,
    is_key_window,
    window_nonce,
)
from dataworks_tasks.sync.later_collections import spec_with_later
from dataworks_tasks.sync.reconcile import KeyRoute
from dataworks_tasks.sync.routes import migration_routes
from dataworks_tasks.sync.waiting_reader import WaitingReader
from dataworks_tasks.sync.wanted import id_of
from dataworks_tasks.sync.window_work import (
    CompletedWindow,
    WindowRun,
    check_held,
    hot_key,
    work_on_windows,
)

_OUTAGE_SECONDS = 1.0


class FollowWork(RangeWork):
    """Copies slices under claims, and reconciles windows once all of them are copied.

    A document that the copy could not write is not a failure: its key is reconciled later, with the
    source's document at that time. Raises SpecRefused for a run that does not follow its source.
    """

    def __init__(self, context: RunContext) -> None:
        job = context.spec.job
        if not isinstance(job, MigrationJob) or job.follow is None:
            raise SpecRefused(f"{context.spec.run_id} does not follow its source")
        self._context, self._part = context, job.follow
        self._pairs = {
            str(namespace): number
            for number, pair in enumerate(job.namespaces)
            for namespace in (pair.source, pair.target)
        }
        spec = context.spec.model_copy(update={"on_error": OnError.SKIP})
        self._copy = MigrationWork(replace(context, spec=spec), self._wrote)
        self._claim: Claim | None = None
        self._job, self._later = job, 0
        self._routes = migration_routes(context, job, self._bound)
        self._windows = WindowRun(
            context,
            job.follow.claims,
            self._route,
            hot=True,
            twice=job.follow.stale_seconds > 0,
        )

    def _route(self, window: KeyWindow) -> KeyRoute:
        """Return where the window's keys are read and written.

        Raises TransientError for a window of a collection that is not of the run.
        """
        if not self._is_known(window):
            spec, self._later = spec_with_later(self._context.ledger, self._context.spec.run_id)
            if isinstance(spec.job, MigrationJob):
                self._job = spec.job
            context = replace(self._context, spec=spec)
            self._routes = migration_routes(context, self._job, self._bound)
            if not self._is_known(window):
                raise TransientError(f"collection {window.pair} of the run is not on record")
        return self._routes[window.pair]

    def _is_known(self, window: KeyWindow) -> bool:
        if window.pair >= len(self._job.namespaces):
            return False
        return window.nonce == window_nonce(self._job, window.pair, self._later)

    def run(self, wanted: BatchRange, stop: StopSignal) -> Iterator[Completed]:
        reader = WaitingReader(self._context.ledger, self._context.spec.run_id)
        interrupted = stop.interrupted
        stop = StopSignal(stop.deadline, lambda: interrupted() or reader.waits())
        slices = self._context.ledger.slices(self._context.spec.run_id, wanted)
        windows = {number: data for number, data in slices.items() if is_key_window(data)}
        yield from self._copied(slices.keys() - windows.keys(), slices, stop)
        yield from work_on_windows(self._windows, windows, stop)

    def isolate(self, number: int, deaths: int) -> CompletedSlice | CompletedWindow | None:
        """Take what kills workers out of slice or window ``number``.

        None if it may be tried unchanged, or another process has it.
        """
        isolated = isolate_window(self._windows, number, deaths)
        if isolated is not None:
            return isolated
        data = self._context.ledger.slices(
            self._context.spec.run_id, BatchRange(number, number + 1)
        ).get(number)
        if data is None or is_key_window(data):
            return None
        run_id, times = self._context.spec.run_id, self._part.claims
        request = ClaimRequest(
            number, data, secrets.token_hex(8), times.seconds, times.late_seconds
        )
        grant = self._context.ledger.key_windows.claim(run_id, request)
        if grant is None:
            return None
        part = self._copy.isolate(number, deaths)
        # Reconciling decides about the document, as about any that was not written.
        if part is not None and part.result.failures:
            self._reconcile_later(part.result)
            part = part.with_result(replace(part.result, failures=()))
        windows = self._context.ledger.key_windows
        windows.give_back(run_id, request, grant.claim, unanswered=False)
        return part

    def _copied(
        self, numbers: set[int], slices: Mapping[int, bytes], stop: StopSignal
    ) -> Iterator[Completed]:
        run_id, times = self._context.spec.run_id, self._part.claims
        terms = ClaimTerms(times.seconds, times.late_seconds)
        held: list[int] = []
        with ClaimKeeper(self._context.ledger.key_windows, run_id, terms) as keeper:
            for number in sorted(numbers):
                if stop.reached:
                    return
                claim = keeper.claim(number, slices[number])
                if claim is None:
                    held.append(number)
                    continue

                self._claim = claim

                def interrupted() -> bool:
                    return stop.interrupted() or claim.seconds_left <= 0.0  # noqa: B023

                until = StopSignal(stop.deadline, interrupted)
                for completed in self._copy.run(BatchRange(number, number + 1), until):
                    result = completed.result
                    self._reconcile_later(result)
                    claim.check()
                    yield completed.with_result(replace(result, failures=()))
                keeper.give_back(claim)
        check_held(self._context, held)

    def _reconcile_later(self, result: RangeResult) -> None:
        """Put the keys of documents that were not written into the hot set."""
        keys = [
            (
                hot_key(self._pairs[failure.namespace], id_of_failure(failure.bson_id)),
                self._pairs[failure.namespace],
            )
            for failure in result.failures
        ]
        self._context.ledger.key_windows.add_hot_keys(self._context.spec.run_id, keys)

    def _wrote(self, pair: int, batch: EncodedBatch) -> None:
        """Reconcile later what was written after the claim was over.

        A process that was suspended between checking its claim and writing has inserted documents
        that the source may no longer have. Inserts of a copy carry no fence.
        """
        claim = self._claim
        if claim is None or claim.seconds_left > 0.0:
            return
        keys = [(hot_key(pair, id_of(document)), pair) for document in batch.documents()]
        while True:
            try:
                self._context.ledger.key_windows.add_hot_keys(self._context.spec.run_id, keys)
                return
            except LedgerUnavailable:
                # No other process knows about these documents, so this one waits for Redis.
                Event().wait(_OUTAGE_SECONDS)

    def _bound(self) -> Timestamp:
        """Return the newest planned position: reads must not be older."""
        kept = self._context.ledger.key_windows.place(self._context.spec.run_id, PLACE)
        return FollowPlace.from_bytes(kept).time if kept else first_place(self._part).time

    def finish(self, lease: FinishLease) -> bool:
        """Do nothing: a run that follows ends with its cut-over."""
        return True

    def close(self) -> None:
        self._copy.close()
