"""Actions on runs: pause, resume, cancel, retry."""

from __future__ import annotations

import time
from collections.abc import Callable

from tornado.web import HTTPError

from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.history import RunEvent
from producer.connections import Connections
from producer.drive.attach import set_going
from producer.resume.continue_run import continue_run, retry_failures
from producer.resume.stop_run import stop_run
from producer.web.pages import Page


def _pause(connections: Connections, run_id: str) -> None:
    stop_run(connections.ledger, run_id, RunState.PAUSED)


def _cancel(connections: Connections, run_id: str) -> None:
    stop_run(connections.ledger, run_id, RunState.CANCELLED)


def _resume(connections: Connections, run_id: str) -> None:
    set_going(connections, continue_run(connections, run_id))


def _retry(connections: Connections, run_id: str) -> None:
    set_going(connections, retry_failures(connections, run_id))


ACTIONS: dict[str, Callable[[Connections, str], None]] = {
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "retry": _retry,
}


class RunAction(Page):
    """``POST /runs/RUN/ACTION``: only where actions are allowed, and only for who signed in."""

    async def post(self, run_id: str, action: str) -> None:
        """Do it, and keep on record who did."""
        self.check_origin()
        if not self.site.options.allow_actions:
            raise HTTPError(403, reason="Start the page with --allow-actions")
        who = self.who
        if who is None or action not in ACTIONS:
            raise HTTPError(404 if who else 403)
        await self.read(self._act, run_id, action, f"{who} ({self.request.remote_ip})")
        self.redirect(f"/runs/{run_id}")

    def _act(self, run_id: str, action: str, who: str) -> None:
        with self.site.acting:
            ACTIONS[action](self.site.connections, run_id)
        self.site.ledger.history.record_event(run_id, RunEvent(time.time(), who, action))
