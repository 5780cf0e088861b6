"""Run one range, or finish a run: what a message asks for, without Celery."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from dataworks_tasks.broker.messages import RangeMessage
from dataworks_tasks.errors import UnexpectedError
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.contract import Ledger, RangeResult, RunProgress, RunState
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import StopSignal
from dataworks_tasks.scan.final_collections import record_final_collections
from dataworks_tasks.sync.target_end import note_target_end
from dataworks_tasks.unexpected import unexpected_errors
from dataworks_tasks.worker.failures import check_failures, listed, state_at_end
from dataworks_tasks.worker.finish_lease import HeldFinishLease
from dataworks_tasks.worker.process import OpenRun, WorkerProcess

log = logging.getLogger(__name__)

_STATE_CHECK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class RangeOutcome:
    """``left``: the ranges to send again, because this message's time was up.

    ``progressed``: some of the range was acknowledged.
    """

    left: tuple[BatchRange, ...] = ()
    closed_last_gap: bool = False
    progressed: bool = False


def run_range(
    process: WorkerProcess,
    message: RangeMessage,
    others: int = 0,
    leaves: Callable[[], bool] = lambda: False,
) -> RangeOutcome:
    """Do what is not acknowledged of the message's range, and acknowledge it part by part.

    Stays for ``range_seconds``; for a short turn while other runs wait (``others`` of them do now);
    until ``leaves``; or until the run is paused or cancelled.
    Raises the errors of ``RangeWork.run`` and RunFailed when there are too many failures.
    """
    ledger, run_id = process.ledger, message.run_id
    began = time.monotonic()
    run = process.open_run(run_id)
    turn = _TurnClock(ledger, run_id, run.turn.seconds, others)
    interrupted = lambda: leaves() or turn.is_over()  # noqa: E731 - two clocks in one
    stop = StopSignal(began + process.config.range_seconds, interrupted)
    done = _Done()
    try:
        with unexpected_errors():
            for gap in list(ledger.gaps(run_id, message.range)):
                _run_gap(process, run, gap, stop, done)
    except UnexpectedError as error:
        raise UnexpectedError(error.fact, error.remedy, done.progressed) from None
    run.turn.learn(ran_out=turn.ran_out, progressed=done.progressed)
    left = () if turn.is_stopped else tuple(ledger.gaps(run_id, message.range))
    done.log(time.monotonic() - began, sum(gap.size for gap in left))
    return RangeOutcome(left, done.closed_last_gap, done.progressed)


@dataclass(slots=True)
class _Done:
    """The outcome of a range so far."""

    documents: int = 0
    failures: int = 0
    first_reason: str = ""
    closed_last_gap: bool = False
    progressed: bool = False

    def add(self, result: RangeResult) -> None:
        """Count a part."""
        finished = (RunCounter.DOCUMENTS, RunCounter.READ)
        self.progressed |= any(result.counters.get(name) for name in finished)
        self.progressed |= bool(result.failures)
        self.documents += result.counters.get(RunCounter.DOCUMENTS, 0)
        if result.failures and not self.failures:
            self.first_reason = result.failures[0].reason
        self.failures += len(result.failures)

    def log(self, seconds: float, left: int) -> None:
        """Log one line for the range, and one for what could not be written."""
        fields = {"documents": self.documents, "seconds": round(seconds, 3), "left": left}
        log.info(
            "range completed" if not left else "range completed in part", extra={"fields": fields}
        )
        if self.failures:
            log.warning(
                "%d documents could not be written, the first because: %s; they are on record, "
                "the rest of the range continued: see dataworks failures",
                self.failures,
                self.first_reason,
            )


def _run_gap(
    process: WorkerProcess, run: OpenRun, gap: BatchRange, stop: StopSignal, done: _Done
) -> None:
    run_id = run.spec.run_id
    for outcome in run.work.run(gap, stop):
        part = outcome.with_result(listed(process.ledger, run.spec, outcome.result))
        result = part.result
        report = process.report(result.counters.get(RunCounter.DOCUMENTS, 0))
        failpoint("acknowledge.before")
        acknowledgement = part.record(process.ledger, run_id, report)
        failpoint("acknowledge.after")
        done.closed_last_gap |= acknowledgement.closed_last_gap
        done.progressed |= acknowledgement.newly > 0 or acknowledgement.checkpointed
        done.add(result)
        if outcome.result.failures:
            check_failures(process.ledger, run.spec)


def _has_no_gaps(progress: RunProgress) -> bool:
    return progress.total is not None and progress.acknowledged == progress.total


def finish_run(process: WorkerProcess, run_id: str) -> bool:
    """Do what comes after the last document, and record the run as complete.

    Returns False if the time limit expired: the caller must enqueue another finish task. Raises
    LeaseHeld while another process is doing it.
    """
    ledger = process.ledger
    progress = ledger.progress(run_id)
    if progress.state is not RunState.RUNNING:
        return True
    if not _has_no_gaps(progress):
        log.warning("the run has %d gaps: it is not finished", progress.gaps)
        return True
    run = process.open_run(run_id)
    turn_clock = _TurnClock(ledger, run_id, run.turn.seconds)
    stop = StopSignal(time.monotonic() + process.config.range_seconds, turn_clock.is_over)
    failpoint("finish.before")
    with HeldFinishLease(ledger, run_id, process.name, stop) as lease:
        before = lease.position
        finished = run.work.finish(lease)
        progressed = finished or lease.position != before
        run.turn.learn(ran_out=turn_clock.ran_out, progressed=progressed)
        if not finished:
            log.info("finishing continues later", extra={"fields": {"position": lease.position}})
            return turn_clock.is_stopped
        source = process.client("source", run.spec) if run.spec.source_fingerprint else None
        target = process.client("target", run.spec)
        record_final_collections(ledger, run.spec, target, source)
        note_target_end(ledger, run_id, target)
    failpoint("finish.after")
    end = state_at_end(run.spec, ledger.progress(run_id))
    if ledger.change_state(run_id, frozenset({RunState.RUNNING}), end):
        log.info("the run is %s", end)
    else:
        log.warning("the run is no longer complete: it was stopped, or Redis lost ranges")
    return True


class _TurnClock:
    """Whether the run was stopped, or a turn is over while other runs wait.

    Asks the ledger at most twice a second.
    """

    def __init__(self, ledger: Ledger, run_id: str, seconds: float, others: int = 0) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._seconds = seconds
        self._others = others
        self._began = self._asked_at = time.monotonic()
        self.is_stopped = False
        self.ran_out = False

    def is_over(self) -> bool:
        now = time.monotonic()
        if not self.is_stopped and now - self._asked_at >= _STATE_CHECK_SECONDS:
            self._asked_at = now
            rivals = self._ledger.windows.rivals(self._run_id)
            self.is_stopped = not rivals.is_working
            self._others = rivals.others
        self.ran_out = self._others > 0 and now - self._began >= self._seconds
        return self.is_stopped or self.ran_out
