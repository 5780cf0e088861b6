"""Start a run, stay with it to its end, and return its outcome."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Event

from dataworks_tasks.errors import LedgerUnavailable, RunFailed
from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.ledger.contract import RunProgress, RunState
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings import FrameworkConfig
from producer.connections import Connections
from producer.drive.attach import stay
from producer.drive.in_process import work_here
from producer.drive.observation import Observation, StopRequest
from producer.resume.spec_file import keep_spec
from producer.view.next_step import may_resume
from producer.view.plain_view import notice
from producer.view.remaining_time import RemainingTime
from producer.view.run_result import RunResult, RunStatus
from producer.view.run_summary import summarize

log = logging.getLogger(__name__)


def run_and_wait(
    config: FrameworkConfig,
    start: Callable[[Connections], RunSpec],
    stop: Event,
    here: Sequence[BaseDataGenerator] | None,
    show: Callable[[RunStatus], object],
) -> RunResult:
    """Start a run and stay with it; ``here`` are the generators of a run in this process."""

    def stop_request() -> StopRequest:
        return StopRequest.NOW if stop.is_set() else StopRequest.NONE

    with Connections(config, in_process=here is not None) as connections:
        spec = start(connections)
        keep_spec(spec)
        notices = _log_notices(spec.run_id)
        remaining = RemainingTime.of(connections.ledger, spec)

        def observe(observation: Observation) -> None:
            notices(observation)
            if observation.progress is not None:
                left = remaining.observe(observation.progress)
                cause = observation.standstill.cause
                run = summarize(spec, observation.progress, cause=cause, time_left=left)
                show(RunStatus.of(run))

        if here is not None:
            progress = work_here(connections, spec, here, observe, stop_request)
        else:
            attached = stay(connections, spec, observe, stop_request)
            if attached is None:
                raise LedgerUnavailable("Redis never answered", resume_hint(spec.run_id))
            progress = attached
    if progress.state is RunState.FAILED:
        raise run_failed(spec.run_id, progress)
    return RunResult.of(summarize(spec, progress))


def _log_notices(run_id: str) -> Callable[[Observation], None]:
    last = ""

    def observe(observation: Observation) -> None:
        nonlocal last
        text = notice(observation)
        if text and text != last:
            log.warning("run %s: %s", run_id, text)
        last = text

    return observe


def run_failed(run_id: str, progress: RunProgress) -> RunFailed:
    """Return the error of a run that stopped, with ``resume`` where that can help."""
    reason = progress.last_error or f"run {run_id} is {progress.state}"
    helps = may_resume(progress.state, progress.last_error)
    return RunFailed(reason, resume_hint(run_id) if helps else "")


def resume_hint(run_id: str) -> str:
    """Return the command that continues a run, as an error's remedy."""
    return f"Continue with: dataworks resume {run_id}"
