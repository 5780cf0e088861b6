"""Do one turn of a step of a run's driver."""

from __future__ import annotations

import logging
import time

from celery import Celery

from dataworks_tasks.broker.run_queue import RunQueue
from dataworks_tasks.drive.held_lease import HeldLease, StepHeld
from dataworks_tasks.drive.start_run import CLAIM_SECONDS, REFUSED_STEP_SECONDS
from dataworks_tasks.drive.steps import step_named
from dataworks_tasks.driver_step import Drive, DriverStep
from dataworks_tasks.errors import (
    LedgerUnavailable,
    SettingsError,
    SpecRefused,
    TerminalError,
    TransientError,
    UnexpectedError,
    UnknownName,
)
from dataworks_tasks.ledger.contract import WORKING, Ledger, RunState
from dataworks_tasks.ledger.windows import DueStep
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings.fingerprints import check_fingerprints
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.unexpected import check_tries, unexpected_errors
from dataworks_tasks.worker.process import WorkerProcess

log = logging.getLogger(__name__)

_SHORT_TURN_SECONDS = 2.0
_RIVALS_CHECK_SECONDS = 1.0
_RETRY_SECONDS = 2.0


def drive_run(process: WorkerProcess, app: Celery, due: DueStep) -> None:
    """Do the step, unless another process is doing it, and schedule it again.

    Raises UnknownName for a run that is not on record, BadMessage for a step that does not exist.
    """
    step = step_named(due.step)
    try:
        spec = process.spec(due.run_id)
    except SpecRefused as error:
        _leave_to_others(process.ledger, due, error)
        return
    queue = RunQueue(app, process.ledger, spec)
    turn = _DriveTurn(process.ledger, due.run_id, process.config.range_seconds)
    try:
        with HeldLease(process.ledger, due, queue.name, process.name, turn.is_over) as lease:
            databases = _Databases(process, spec)
            drive = Drive(spec, process.config, process.ledger, queue, databases, lease)
            again = _again(step, drive)
            lease.again = CLAIM_SECONDS if again == 0 else again
    except StepHeld:
        return
    if again == 0:
        queue.send_step(step.name)


def _leave_to_others(ledger: Ledger, due: DueStep, error: SpecRefused) -> None:
    """Make the step due again soon: another worker may be able to read the run's spec."""
    log.warning("%s; %s of %s is left to other workers", error, due.step, due.run_id)
    ledger.note_error(due.run_id, str(error))
    queue = ledger.windows.queue(due.run_id)
    ledger.driver.schedule(due.run_id, queue, (due.step,), REFUSED_STEP_SECONDS)


def _again(step: DriverStep, drive: Drive) -> float | None:
    """Do the step; return when it is due again."""
    ledger, run_id = drive.ledger, drive.spec.run_id
    try:
        try:
            with unexpected_errors():
                again = step.run(drive)
        except UnexpectedError as error:
            check_tries(ledger, run_id, step.name, error)
            raise
        ledger.forget_attempts(run_id, step.name)
        return again
    except UnknownName:
        raise
    except (TransientError, SettingsError, SpecRefused) as error:
        # A refusal is retried too: another worker of the fleet may be the right one.
        log.warning("%s was interrupted: %s; retrying in %.0f s", step.name, error,
                    _RETRY_SECONDS)  # fmt: skip
        if not isinstance(error, LedgerUnavailable):
            ledger.note_error(run_id, f"{step.name}: {error}")
        return _RETRY_SECONDS
    except TerminalError as error:
        log.error(
            "%s failed: %s; the run stops; continue with: dataworks resume %s",
            step.name,
            error,
            run_id,
        )
        ledger.change_state(run_id, WORKING, RunState.FAILED, f"{step.name}: {error}")
        return None


class _DriveTurn:
    """A step may take ``longest`` seconds while idle processes do the other work.

    If no process takes the run's messages meanwhile, or another run waits, its turn is short.
    """

    def __init__(self, ledger: Ledger, run_id: str, longest: float) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._longest = longest
        self._takes: int | None = None
        self._asked_at = time.monotonic()

    def is_over(self, seconds: float) -> bool:
        if seconds >= self._longest:
            return True
        now = time.monotonic()
        if seconds < _SHORT_TURN_SECONDS or now - self._asked_at < _RIVALS_CHECK_SECONDS:
            return False
        self._asked_at = now
        rivals = self._ledger.windows.rivals(self._run_id)
        alone, self._takes = rivals.takes == self._takes, rivals.takes
        return alone or rivals.others > 0


class _Databases:
    """Implements ``driver_step.Databases``; checks that they are the run's."""

    def __init__(self, process: WorkerProcess, spec: RunSpec) -> None:
        self._process = process
        self._spec = spec

    def source(self) -> BaseDatabaseClient:
        """Return the source. Raises SpecRefused if it is not the run's."""
        check_fingerprints(self._spec, self._process.config)
        return self._process.client("source", self._spec)

    def target(self) -> BaseDatabaseClient:
        """Return the target. Raises SpecRefused if it is not the run's."""
        check_fingerprints(self._spec, self._process.config)
        return self._process.client("target", self._spec)
