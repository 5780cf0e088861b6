"""A migration that follows its source, for a program that cuts it over."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from threading import Event

from dataworks_tasks.errors import RunFailed
from dataworks_tasks.ledger.contract import WORKING
from dataworks_tasks.settings import FrameworkConfig
from producer.api.event_loop import beside_the_loop
from producer.api.run_and_wait import resume_hint, run_failed
from producer.connections import Connections
from producer.cutover.cut_over_request import CutOverRequest
from producer.cutover.cut_over_run import cut_over_run
from producer.drive.observation import StopRequest
from producer.view.follow_figures import Phase, follow_figures
from producer.view.run_result import RunResult
from producer.view.run_summary import summarize

log = logging.getLogger(__name__)

_CAREFUL = CutOverRequest()
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class FollowedRun:
    """A migration that follows its source until it is cut over."""

    config: FrameworkConfig
    run_id: str

    async def caught_up(self, lag_seconds: float = 10.0) -> float:
        """Wait until the copy is done and the target lags by at most this much; return the lag.

        Raises RunFailed when the run stops meanwhile.
        """
        while True:
            lag = await asyncio.to_thread(self._lag)
            if lag is not None and lag <= lag_seconds:
                return lag
            await asyncio.sleep(_LOOK_SECONDS)

    async def cutover(self, request: CutOverRequest = _CAREFUL) -> RunResult:
        """Finish the run: drain, verify, build unique indexes, complete.

        The writers of the source have to stop first. Raises UsageError when a check fails, or the
        error that stopped a step; the run then continues to follow, and the call can be repeated. A
        cancelled call stops at the next step.
        """
        return await beside_the_loop(lambda stop: self._cut_over(request, stop))

    def _lag(self) -> float | None:
        with Connections(self.config) as connections:
            ledger = connections.ledger
            spec, progress = ledger.spec(self.run_id), ledger.progress(self.run_id)
            if progress.state not in WORKING:
                raise run_failed(self.run_id, progress)
            figures = follow_figures(ledger, spec, progress)
        if figures is None or figures.phase is Phase.COPYING or figures.silent_seconds is None:
            return None  # it is copied first, and the lag is unknown before the first read
        return figures.lag_seconds

    def _cut_over(self, request: CutOverRequest, stop: Event) -> RunResult:
        def say(line: str) -> None:
            log.info("%s: %s", self.run_id, line)
            if stop.is_set():
                raise RunFailed("the cut-over was abandoned", resume_hint(self.run_id))

        def stop_request() -> StopRequest:
            return StopRequest.NOW if stop.is_set() else StopRequest.NONE

        with Connections(self.config) as connections:
            progress = cut_over_run(connections, self.run_id, request, say, stop_request)
            return RunResult.of(summarize(connections.ledger.spec(self.run_id), progress))
