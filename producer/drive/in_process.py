"""Do a run's work in this process, without workers: same ranges, same ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from dataworks_tasks.broker.messages import RangeMessage
from dataworks_tasks.errors import (
    SettingsError,
    TerminalError,
    TransientError,
    UnexpectedError,
    UsageError,
)
from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.ledger.contract import WORKING, RunProgress, RunState
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.slicing.planning import Planner, PlannerThread, needs_planning
from dataworks_tasks.worker.process import WorkerProcess
from dataworks_tasks.worker.run_range import finish_run, run_range
from producer.connections import Connections
from producer.drive.observation import Observation, StopRequest

log = logging.getLogger(__name__)

_RANGE_SECONDS = 2.0
"""A range is left after this time, so that a stop does not take long."""

_MOST_OUTAGES = 10
_OUTAGE_SECONDS = 1.0
_PLANNING_SECONDS = 0.02


def work_here(
    connections: Connections,
    spec: RunSpec,
    generators: Sequence[BaseDataGenerator],
    observe: Callable[[Observation], None],
    should_stop: Callable[[], StopRequest],
) -> RunProgress:
    """Do every gap of the run in this process and finish it; return its last progress.

    It waits through outages; after 10 in a row the TransientError is raised and the run can be
    resumed. TerminalError and SettingsError fail the run and are raised.
    """
    if spec.follows:
        raise UsageError(
            "a migration that follows its source needs workers",
            "Start a worker: dataworks worker, and leave in_process out",
        )
    config = connections.config
    config = config.model_copy(update={"range_seconds": min(_RANGE_SECONDS, config.range_seconds)})
    process = WorkerProcess(config, generators)
    try:
        with _planning(connections, spec):
            return _Loop(process, spec).run(observe, should_stop)
    finally:
        process.close()


class _Loop:
    def __init__(self, process: WorkerProcess, spec: RunSpec) -> None:
        self._process = process
        self._ledger = process.ledger
        self._spec = spec
        self._size = process.config.parallel_cursors if spec.is_sliced else spec.batch_size
        self._outages = 0

    def run(
        self, observe: Callable[[Observation], None], should_stop: Callable[[], StopRequest]
    ) -> RunProgress:
        progress = self._ledger.progress(self._spec.run_id)
        while progress.state in WORKING and should_stop() is StopRequest.NONE:
            try:
                self._step(progress)
                self._outages = 0
            except TransientError as error:
                self._wait_out(error)
            except (TerminalError, SettingsError) as error:
                run_id = self._spec.run_id
                self._ledger.change_state(run_id, WORKING, RunState.FAILED, str(error))
                raise
            progress = self._ledger.progress(self._spec.run_id)
            observe(Observation(progress, None))
        return progress

    def _step(self, progress: RunProgress) -> None:
        run_id = self._spec.run_id
        if progress.total is not None and progress.acknowledged == progress.total:
            finish_run(self._process, run_id)
            return
        gap = next(self._ledger.gaps(run_id), None)
        if gap is None:
            time.sleep(_PLANNING_SECONDS)
            return
        chunk = BatchRange(gap.start, min(gap.stop, gap.start + self._size))
        run_range(self._process, RangeMessage(self._spec.kind, run_id, chunk))
        self._ledger.history.sample(run_id)

    def _wait_out(self, error: TransientError) -> None:
        self._outages += 1
        if self._outages >= _MOST_OUTAGES:
            if isinstance(error, UnexpectedError):
                run_id = self._spec.run_id
                self._ledger.change_state(run_id, WORKING, RunState.FAILED, str(error))
            raise error
        log.warning("run %s: %s; retrying in %.0f s", self._spec.run_id, error,
                    _OUTAGE_SECONDS)  # fmt: skip
        time.sleep(_OUTAGE_SECONDS)


def _planning(connections: Connections, spec: RunSpec) -> AbstractContextManager[object]:
    ledger = connections.ledger
    if not needs_planning(ledger, spec):
        return nullcontext()
    planner = Planner(ledger, connections.source, spec)
    return PlannerThread(planner, ledger, spec.run_id)
