"""The part of both engines that works on an existing run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.monitor.standstill import cause_of_standstill
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings import FrameworkConfig
from producer.api.check_type import as_usage_error, check_run
from producer.api.event_loop import ProgressCallback, beside_the_loop, on_loop
from producer.api.run_and_wait import run_and_wait
from producer.connections import Connections
from producer.resume.continue_run import continue_run
from producer.resume.stop_run import stop_run
from producer.start.start_verification import start_verification
from producer.view.remaining_time import RemainingTime
from producer.view.run_result import RunResult, RunStatus
from producer.view.run_summary import summarize

T = TypeVar("T")


class Engine:
    """The part of both engines that works on an existing run. Nothing is kept between two calls.

    A run is named by its id, or by the ``run_name`` that it was started with.
    """

    def __init__(self, config: FrameworkConfig, in_process: bool = False) -> None:
        self._config = config
        self._in_process = in_process

    async def resume(self, run_id: str, progress: ProgressCallback | None = None) -> RunResult:
        """Resume a run: send its gaps, and nothing else."""
        check_run(run_id)
        return await self._stay(
            lambda connections: continue_run(connections, connections.run_id(run_id)), progress
        )

    async def verify(self, run_id: str, progress: ProgressCallback | None = None) -> RunResult:
        """Compare what the run should have written with its target, document by document.

        The result is that of the verification: its state is ``different`` when anything differs,
        and ``failures`` counts the documents.
        """
        check_run(run_id)
        return await self._stay(
            lambda connections: start_verification(connections.run_id(run_id), connections),
            progress,
        )

    async def status(self, run_id: str) -> RunStatus:
        """Return the run's progress. Raises UnknownName for a run that is not on record."""
        check_run(run_id)

        def look(connections: Connections) -> RunStatus:
            ledger, chosen = connections.ledger, connections.run_id(run_id)
            spec, progress = ledger.spec(chosen), ledger.progress(chosen)
            left = RemainingTime.of(ledger, spec).observe(progress)
            cause = cause_of_standstill(ledger, progress)
            return RunStatus.of(summarize(spec, progress, cause=cause, time_left=left))

        return await asyncio.to_thread(self._look, look)

    async def pause(self, run_id: str) -> None:
        """Make workers leave the run alone until it is resumed.

        Raises UsageError for a run that has ended.
        """
        check_run(run_id)

        def stop(connections: Connections) -> None:
            stop_run(connections.ledger, connections.run_id(run_id), RunState.PAUSED)

        await asyncio.to_thread(self._look, stop)

    def _look(self, ask: Callable[[Connections], T]) -> T:
        with Connections(self._config) as connections:
            return ask(connections)

    def _own_generators(self) -> Sequence[BaseDataGenerator]:
        """Return the generators for runs in this process."""
        return ()

    async def _stay(
        self, start: Callable[[Connections], RunSpec], progress: ProgressCallback | None
    ) -> RunResult:
        """Run beside the event loop. A cancelled caller waits until the run is in good order."""

        def started(connections: Connections) -> RunSpec:
            try:
                return start(connections)
            except ValidationError as error:  # a number out of its range
                raise as_usage_error(error) from None

        here = self._own_generators() if self._in_process else None
        show = on_loop(progress)
        return await beside_the_loop(
            lambda stop: run_and_wait(self._config, started, stop, here, show)
        )
