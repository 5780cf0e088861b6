"""The Celery tasks: decode, check, run, acknowledge.

A message is only a hint that a range may not be done; the ledger knows. A lost message is a gap
that the run's driver sends again, and a duplicate finds nothing left to do.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, NoReturn

from celery import Task
from celery.exceptions import Reject
from celery.signals import worker_process_shutdown

from dataworks_tasks.broker.celery_settings import FINISH_SECONDS
from dataworks_tasks.broker.messages import (
    COPY_RANGE,
    DRIVE_RUN,
    FINISH_RUN,
    GENERATE_RANGE,
    REPAIR_RANGE,
    VERIFY_RANGE,
    RangeMessage,
    read_range,
    read_run_id,
    read_step,
    send_finish,
)
from dataworks_tasks.celery_app import app
from dataworks_tasks.errors import (
    BadMessage,
    DataWorksError,
    LedgerUnavailable,
    RunFailed,
    SettingsError,
    SpecRefused,
    TerminalError,
    TransientError,
    UnexpectedError,
    UnknownName,
)
from dataworks_tasks.ledger.contract import WORKING, RunState
from dataworks_tasks.ledger.windows import DueStep
from dataworks_tasks.logs import log_fields
from dataworks_tasks.runs.spec import RunKind
from dataworks_tasks.settings import ConfigManager
from dataworks_tasks.unexpected import check_tries, unexpected_errors
from dataworks_tasks.worker.drive_run import drive_run
from dataworks_tasks.worker.finish_lease import LeaseHeld
from dataworks_tasks.worker.malloc_tuning import tune_malloc
from dataworks_tasks.worker.process import WorkerProcess
from dataworks_tasks.worker.prompt_stop import end_without_pause
from dataworks_tasks.worker.range_turn import work_on
from dataworks_tasks.worker.run_range import finish_run

log = logging.getLogger(__name__)

_MAX_RETRIES = 100
_FINISH_REFUSALS = 5
_LONGEST_RETRY_SECONDS = 15.0
_LONGEST_REFUSAL_SECONDS = 1.0
_LONGEST_SHOWN = 80

_process: WorkerProcess | None = None


def worker_process() -> WorkerProcess:
    """Return this process' connections, made at its first message: after the fork."""
    global _process  # noqa: PLW0603 - a Celery task has no other place that lives as long
    if _process is None:
        tune_malloc()
        _process = WorkerProcess(ConfigManager().load_config())
    return _process


@worker_process_shutdown.connect
def _close_process(exitcode: int, **_: Any) -> None:
    if _process is not None:
        _process.close()
    end_without_pause(exitcode)


@app.task(name=GENERATE_RANGE, bind=True, max_retries=_MAX_RETRIES)
def generate_range(self: Task[Any, Any], run_id: object, start: object, stop: object) -> None:
    """Generate and write the documents ``[start, stop)`` of a run."""
    _on_range(self, RunKind.GENERATION, run_id, start, stop)


@app.task(name=COPY_RANGE, bind=True, max_retries=_MAX_RETRIES)
def copy_range(self: Task[Any, Any], run_id: object, start: object, stop: object) -> None:
    """Copy the slices ``[start, stop)`` of a run."""
    _on_range(self, RunKind.MIGRATION, run_id, start, stop)


@app.task(name=VERIFY_RANGE, bind=True, max_retries=_MAX_RETRIES)
def verify_range(self: Task[Any, Any], run_id: object, start: object, stop: object) -> None:
    """Compare the documents or slices ``[start, stop)`` of a run with the target."""
    _on_range(self, RunKind.VERIFICATION, run_id, start, stop)


@app.task(name=REPAIR_RANGE, bind=True, max_retries=_MAX_RETRIES)
def repair_range(self: Task[Any, Any], run_id: object, start: object, stop: object) -> None:
    """Reconcile the key windows ``[start, stop)`` of a repair."""
    _on_range(self, RunKind.REPAIR, run_id, start, stop)


@app.task(name=FINISH_RUN, bind=True, max_retries=_MAX_RETRIES, time_limit=FINISH_SECONDS)
def finish(self: Task[Any, Any], run_id: object) -> None:
    """Finish a run once every range is acknowledged, and record it as complete."""

    def work(run: str) -> None:
        try:
            with unexpected_errors():
                finished = finish_run(worker_process(), run)
            if not finished:
                send_finish(app, run, _queue_of(self))
        except LeaseHeld:
            return
        except LedgerUnavailable:
            raise
        except UnexpectedError as error:
            # The run's driver requests it again, but not for ever.
            worker_process().ledger.note_error(run, str(error))
            check_tries(worker_process().ledger, run, "finishing", error)
        except (TransientError, SettingsError, SpecRefused) as error:
            if isinstance(error, SpecRefused) and (self.request.retries or 0) < _FINISH_REFUSALS:
                raise  # another worker of the queue may be the right one
            # The run's driver requests it again after a while.
            log.warning("%s; finishing will be tried again", error)
            worker_process().ledger.note_error(run, str(error))

    with log_fields(run=_shown(run_id)):
        _guarded(self, run_id, "finishing", work)


@app.task(name=DRIVE_RUN, bind=True, max_retries=_MAX_RETRIES, time_limit=FINISH_SECONDS)
def drive(self: Task[Any, Any], run_id: object, step: object) -> None:
    """Do a step of a run's driver, such as planning or checking its messages."""
    with log_fields(run=_shown(run_id), step=_shown(step)):
        _guarded(
            self,
            run_id,
            "driving",
            lambda run: drive_run(worker_process(), app, DueStep(run, read_step(step))),
        )


def _on_range(
    task: Task[Any, Any], kind: RunKind, run_id: object, start: object, stop: object
) -> None:
    def work(run: str) -> None:
        message = RangeMessage(kind, run, read_range(start, stop))
        work_on(worker_process(), app, message, _queue_of(task))

    subject = f"[{_shown(start)}:{_shown(stop)})"
    with log_fields(run=_shown(run_id), range=subject):
        _guarded(task, run_id, subject, work)


def _queue_of(task: Task[Any, Any]) -> str:
    """Return the queue that the message came from."""
    info = task.request.delivery_info or {}
    return str(info.get("routing_key") or app.conf.task_default_queue)


def _shown(value: object) -> str:
    """Format a message that is not checked yet, short enough for a log line."""
    return str(value)[:_LONGEST_SHOWN] if isinstance(value, str | int) else type(value).__name__


def _guarded(
    task: Task[Any, Any], run_id: object, subject: str, work: Callable[[str], None]
) -> None:
    """Decide by the type of an error what happens next. ``subject``: what the message is about."""
    try:
        with unexpected_errors():
            _work_on(task, read_run_id(run_id), subject, work)
    except (UnknownName, BadMessage) as error:
        log.warning("%s; the message is dropped, nothing was written", error)
    except TransientError as error:
        # The error could not be recorded: the ledger went away while it was handled.
        _try_later(task, error, _pause(task))


def _work_on(task: Task[Any, Any], run_id: str, subject: str, work: Callable[[str], None]) -> None:
    try:
        try:
            with unexpected_errors():
                work(run_id)
        except UnexpectedError as error:
            check_tries(worker_process().ledger, run_id, subject, error)
            raise
    except BadMessage:
        raise
    except (TransientError, SpecRefused, SettingsError) as error:
        # A refusal is retried too: another worker of the fleet may be the right one.
        _retry(task, run_id, error)
    except TerminalError as error:
        log.error(
            "%s; the run stops and its gaps stay on record; continue with: dataworks resume %s",
            error,
            run_id,
        )
        worker_process().ledger.change_state(run_id, WORKING, RunState.FAILED, str(error))
        if not isinstance(error, RunFailed):
            raise


def _retry(task: Task[Any, Any], run_id: str, error: DataWorksError) -> None:
    # A refusal is not a failure that passes: another worker of the queue may be free at once.
    longest = _LONGEST_REFUSAL_SECONDS if isinstance(error, SpecRefused) else _LONGEST_RETRY_SECONDS
    pause = _pause(task, longest)
    log.warning(
        "%s; acknowledged documents stay, retrying the rest of the range in %.1f s (try %d)",
        error,
        pause,
        (task.request.retries or 0) + 2,
    )
    if not isinstance(error, LedgerUnavailable):
        _note(run_id, error)
    _try_later(task, error, pause)


def _pause(task: Task[Any, Any], longest: float = _LONGEST_RETRY_SECONDS) -> float:
    retries = task.request.retries or 0
    return random.uniform(0.1, min(longest, 0.5 * 2.0 ** min(retries, 10)))


def _note(run_id: str, error: DataWorksError) -> None:
    """Record the error, if this process can: with bad settings it has no ledger."""
    try:
        worker_process().ledger.note_error(run_id, str(error))
    except SettingsError:
        log.warning("the error is in this log only: the settings do not name a ledger")


def _try_later(task: Task[Any, Any], error: Exception, pause: float, **options: Any) -> NoReturn:
    """Re-enqueue the message with a delay of ``pause`` seconds and release the current delivery."""
    try:
        raise task.retry(exc=error, countdown=pause, **options)
    except Reject:
        # The broker did not take the message that would have come later, and Celery would drop this
        # one as well.
        time.sleep(pause)
        raise Reject(str(error), requeue=True) from None
