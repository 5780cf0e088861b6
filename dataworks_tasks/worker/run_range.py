"""Run one range, or finish a run: what a message asks for, without Celery."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from dataworks_tasks.broker.messages import RangeMessage
from dataworks_tasks.errors import BadMessage, RunFailed
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.contract import WORKING, Ledger, RangeResult, RunProgress, RunState
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import StopSignal
from dataworks_tasks.worker.finish_lease import HeldFinishLease
from dataworks_tasks.worker.process import OpenRun, WorkerProcess

log = logging.getLogger(__name__)

_STATE_CHECK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RangeOutcome:
    """``left``: what is to be sent again, because this message's time was up."""

    left: tuple[BatchRange, ...] = ()
    closed_last_gap: bool = False


def run_range(process: WorkerProcess, message: RangeMessage) -> RangeOutcome:
    """Do what is not acknowledged of the message's range, and acknowledge it part by part.

    Raises the errors of ``RangeWork.run`` and RunFailed when there are too many failures.
    """
    ledger, run_id = process.ledger, message.run_id
    began = time.monotonic()
    state = ledger.state(run_id)
    if state not in WORKING:
        log.info("the run is %s, so the range is left as a gap", state)
        return RangeOutcome()
    run = process.open_run(run_id)
    _check_message(ledger, run, message)
    interrupted = _Interrupted(ledger, run_id)
    stop = StopSignal(time.monotonic() + process.config.range_seconds, interrupted)
    done = _Done()
    for gap in list(ledger.gaps(run_id, message.range)):
        _run_gap(process, run, gap, stop, done)
    left = () if interrupted.noticed else tuple(ledger.gaps(run_id, message.range))
    done.log(time.monotonic() - began, sum(gap.size for gap in left))
    return RangeOutcome(left, done.closed_last_gap)


@dataclass(slots=True)
class _Done:
    """What came of a range so far."""

    documents: int = 0
    failures: int = 0
    first_reason: str = ""
    closed_last_gap: bool = False

    def add(self, result: RangeResult) -> None:
        """Count a part."""
        self.documents += result.counters.get("documents", 0)
        if result.failures and not self.failures:
            self.first_reason = result.failures[0].reason
        self.failures += len(result.failures)

    def log(self, seconds: float, left: int) -> None:
        """One line for the range, and one for what could not be written."""
        fields = {"documents": self.documents, "seconds": round(seconds, 3), "left": left}
        log.info(
            "range completed" if not left else "range completed in part", extra={"fields": fields}
        )
        if self.failures:
            log.warning(
                "%d documents could not be written, the first because: %s; they are on record, "
                "the rest of the range went on: see dataworks failures",
                self.failures,
                self.first_reason,
            )


def _run_gap(
    process: WorkerProcess, run: OpenRun, gap: BatchRange, stop: StopSignal, done: _Done
) -> None:
    run_id = run.spec.run_id
    for part, result in run.work.run(gap, stop):
        report = process.report(result.counters.get("documents", 0))
        failpoint("acknowledge.before")
        acknowledgement = process.ledger.acknowledge(run_id, part, result, report)
        failpoint("acknowledge.after")
        done.closed_last_gap |= acknowledgement.closed_last_gap
        done.add(result)
        if result.failures:
            _check_failures(process.ledger, run)


def awaits_finish(process: WorkerProcess, run_id: str) -> bool:
    """Whether the run has no gaps left and waits to be finished."""
    progress = process.ledger.progress(run_id)
    return progress.state is RunState.RUNNING and _has_no_gaps(progress)


def _has_no_gaps(progress: RunProgress) -> bool:
    return progress.total is not None and progress.acknowledged == progress.total


def finish_run(process: WorkerProcess, run_id: str) -> bool:
    """Build what comes after the last document and call the run complete.

    False when this process' time was up before the end: somebody has to be asked again. Raises
    LeaseHeld while another process is at it.
    """
    ledger = process.ledger
    progress = ledger.progress(run_id)
    if progress.state is not RunState.RUNNING:
        return True
    if not _has_no_gaps(progress):
        log.warning("the run has %d gaps: it is not finished", progress.gaps)
        return True
    interrupted = _Interrupted(ledger, run_id)
    stop = StopSignal(time.monotonic() + process.config.range_seconds, interrupted)
    failpoint("finish.before")
    with HeldFinishLease(ledger, run_id, process.name, stop) as lease:
        if not process.open_run(run_id).work.finish(lease):
            log.info("finishing goes on later", extra={"fields": {"position": lease.position}})
            return interrupted.noticed
    failpoint("finish.after")
    ledger.change_state(run_id, frozenset({RunState.RUNNING}), RunState.COMPLETE)
    log.info("the run is complete")
    return True


def _check_message(ledger: Ledger, run: OpenRun, message: RangeMessage) -> None:
    if run.spec.kind is not message.kind:
        raise BadMessage(
            f"a {message.kind} message names {message.run_id}, which is a {run.spec.kind}",
            "Only dataworks itself should write to its queue",
        )
    planned, _ = ledger.last_slice(message.run_id)
    if message.range.stop > planned:
        raise BadMessage(
            f"{message.range} of {message.run_id} is not within its {planned:,} planned",
            "It is left over from before Redis lost data, or somebody else wrote it",
        )


def _check_failures(ledger: Ledger, run: OpenRun) -> None:
    count, allowed = ledger.progress(run.spec.run_id).failures, run.spec.max_failures
    if count > allowed:
        raise RunFailed(
            f"{count} documents could not be written, more than the {allowed} allowed",
            f"See dataworks failures {run.spec.run_id}",
        )


class _Interrupted:
    """Whether somebody paused or cancelled the run; asks the ledger once a second at most."""

    def __init__(self, ledger: Ledger, run_id: str) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._asked_at = time.monotonic()
        self.noticed = False

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self.noticed and now - self._asked_at >= _STATE_CHECK_SECONDS:
            self._asked_at = now
            self.noticed = self._ledger.state(self._run_id) not in WORKING
        return self.noticed
