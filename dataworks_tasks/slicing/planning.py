"""Plan a run's slices while its workers copy the first ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from threading import Event, Thread
from typing import Self

from dataworks_tasks.errors import (
    DataWorksError,
    StoreUnavailable,
    TerminalError,
    TransientError,
    UnknownName,
)
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.contract import WORKING, Ledger, PlanEnd, RunState
from dataworks_tasks.runs.spec import MigrationJob, RunSpec
from dataworks_tasks.slicing.split_migration import plan_slices
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.unexpected import described

log = logging.getLogger(__name__)

_OUTAGE_SECONDS = 1.0


def needs_planning(ledger: Ledger, spec: RunSpec) -> bool:
    """Return whether the run has slices that are not planned yet."""
    if spec.follows and ledger.key_windows.copy_slices(spec.run_id) is not None:
        return False
    if not spec.is_sliced:
        return False
    progress = ledger.progress(spec.run_id)
    return progress.total != progress.planned


class Planner:
    """Walks the source and records slices after those on record, until it is stopped.

    If a planner is killed, the next one continues from the recorded position.
    """

    def __init__(self, ledger: Ledger, source: BaseDatabaseClient, spec: RunSpec) -> None:
        self._ledger = ledger
        self._source = source
        self._spec = spec
        self._stop = Event()

    def plan(self) -> Iterator[int]:
        """Plan to the end, or until ``stop``; yields how many slices are planned after each group.

        Raises DataWorksError when the source fails.
        """
        run_id, job = self._spec.run_id, self._job
        end = self._ledger.plan_end(run_id)
        follow = job.follow if self._spec.follows else None
        copied_before = follow is not None and follow.continues is not None
        plan = plan_slices(self._source, job, self._spec.batch_size, end.last_slice)
        for planned in () if copied_before else plan:
            if self._stop.is_set():
                return
            failpoint("plan.before")
            self._ledger.append_slices(
                run_id,
                end,
                planned.slices,
                planned.documents,
                planned.by_collection,
                planned.collections,
            )
            failpoint("plan.after")
            end = PlanEnd(end.planned + len(planned.slices), planned.slices[-1])
            yield end.planned
        failpoint("close-plan.before")
        if follow is not None:
            late_seconds = follow.claims.late_seconds
            self._ledger.key_windows.close_copy(run_id, end, late_seconds)
        else:
            self._ledger.close_plan(run_id, end)
        failpoint("close-plan.after")

    def stop(self) -> None:
        """Ask ``plan`` to return after the slices that it is working on."""
        self._stop.set()

    def stopped_within(self, seconds: float) -> bool:
        """Wait for ``stop``, at most ``seconds``; return whether it came."""
        return self._stop.wait(seconds)

    @property
    def _job(self) -> MigrationJob:
        job = self._spec.data_job
        if not isinstance(job, MigrationJob):
            raise TypeError(f"{self._spec.run_id} has no slices")
        return job


class PlannerThread:
    """A planner in the background; a context manager. Its error fails the run, with the reason."""

    def __init__(self, planner: Planner, ledger: Ledger, run_id: str) -> None:
        self._planner = planner
        self._ledger = ledger
        self._run_id = run_id
        self._thread = Thread(target=self._plan, name="dataworks-planner", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._planner.stop()
        self._thread.join()

    def _plan(self) -> None:
        """Plan through outages of Redis, and when another process plans the same run."""
        failure: DataWorksError | None = None
        while not self._planner.stopped_within(0.0):
            try:
                if failure is None:
                    for _ in self._planner.plan():
                        pass
                else:
                    self._fail(failure)
                return
            except UnknownName:
                return  # Redis has lost the run: whoever waits for its end sees that too
            except StoreUnavailable as error:
                failure = error
            except TransientError:
                self._planner.stopped_within(_OUTAGE_SECONDS)
            except DataWorksError as error:
                failure = error
            except Exception as error:
                log.exception("an unexpected error while planning %s", self._run_id)
                failure = TerminalError(described(error))

    def _fail(self, error: DataWorksError) -> None:
        reason = f"planning stopped: {error}"
        self._ledger.change_state(self._run_id, WORKING, RunState.FAILED, reason)
