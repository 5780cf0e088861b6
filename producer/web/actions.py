"""Actions on runs: pause, resume, cancel, retry, change the rate, cut over."""

from __future__ import annotations

import time
from collections.abc import Callable

from tornado.web import HTTPError

from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.history import RunEvent
from dataworks_tasks.numerals import parse_count
from dataworks_tasks.runs.bounds import OUTSIDE_OPEN_TRANSACTIONS_SECONDS
from producer.connections import Connections
from producer.cutover.cut_over_request import CutOverRequest
from producer.drive.attach import set_going
from producer.resume.change_limits import change_limits
from producer.resume.continue_run import continue_run, retry_failures
from producer.resume.stop_run import stop_run
from producer.web.pages import WebPage

NO_LIMIT = "none"
LIMITS = ("max_rate", "max_ru", "source_max_ru")
COMPARISONS = ("changed", "full", "none")
_LONGEST_QUIET_SECONDS = 24 * 3600


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


class ActionPage(WebPage):
    """An action of a visitor who signed in, if the page allows actions."""

    def visitor(self) -> str:
        """Return the visitor's name and address; refuse visitors who are not signed in."""
        self.check_origin()
        if not self.site.options.allow_actions:
            raise HTTPError(403, reason="Start the page with --allow-actions")
        if self.who is None:
            raise HTTPError(403)
        return f"{self.who} ({self.request.remote_ip})"

    def record(self, run_id: str, who: str, action: str) -> None:
        """Record who did what to the run."""
        self.site.ledger.history.record_event(run_id, RunEvent(time.time(), who, action))


class RunAction(ActionPage):
    """``POST /runs/RUN/ACTION``."""

    async def post(self, run_id: str, action: str) -> None:
        """Do the action, and record who did it."""
        who = self.visitor()
        await self.read(self._act, run_id, action, who)
        self.redirect(f"/runs/{run_id}")

    def _act(self, run_id: str, action: str, who: str) -> None:
        with self.site.acting:
            ACTIONS[action](self.site.connections, run_id)
        self.record(run_id, who, action)


class RateAction(ActionPage):
    """``POST /runs/RUN/rate``: new limits, each a number or "none"; an empty one stays."""

    async def post(self, run_id: str) -> None:
        """Change the limits."""
        who = self.visitor()
        given = {name: self.get_body_argument(name, "") for name in LIMITS}
        wanted = {name: _limit(name, text) for name, text in given.items() if text}
        if not wanted:
            raise HTTPError(400, reason="No limit was given")
        await self.read(self._change, run_id, wanted, who)
        self.redirect(f"/runs/{run_id}")

    def _change(self, run_id: str, wanted: dict[str, float | None], who: str) -> None:
        with self.site.acting:
            limits = change_limits(self.site.connections, run_id, wanted)
        self.record(run_id, who, f"limit to {limits}" if str(limits) else "remove the limit")


class CutOverAction(ActionPage):
    """``POST /runs/RUN/cutover``: begins a cut-over if the run's id was typed."""

    async def post(self, run_id: str) -> None:
        """Begin the cut-over; the run's page shows its steps."""
        who = self.visitor()
        if self.get_body_argument("run", "") != run_id:
            raise HTTPError(400, reason="Type the id of the run to cut it over")
        verify = self.get_body_argument("verify", COMPARISONS[0])
        if verify not in COMPARISONS:
            raise HTTPError(400, reason="There is no such comparison")
        request = CutOverRequest(
            verify,
            self._quiet_seconds(),
            block_writes=bool(self.get_body_argument("block_writes", "")),
            accept_failures=bool(self.get_body_argument("accept_failures", "")),
        )
        await self.read(self._begin, run_id, request, who)
        self.redirect(f"/runs/{run_id}")

    def _begin(self, run_id: str, request: CutOverRequest, who: str) -> None:
        self.site.ledger.state(run_id)  # raises UnknownName

        def note(action: str) -> None:
            self.record(run_id, who, action)

        self.site.cut_overs.begin(run_id, request, note)

    def _quiet_seconds(self) -> float:
        text = self.get_body_argument("quiet", "").strip().removesuffix("s")
        if not text:
            return OUTSIDE_OPEN_TRANSACTIONS_SECONDS
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= _LONGEST_QUIET_SECONDS:
            raise HTTPError(400, reason="The time without writes is not a number of seconds")
        return seconds


def _limit(name: str, text: str) -> float | None:
    if text.strip().lower() == NO_LIMIT:
        return None
    try:
        limit = parse_count(text)
    except ValueError as error:
        raise HTTPError(400, reason=f"{name} {error}, nor {NO_LIMIT}") from None
    if limit < 1:
        raise HTTPError(400, reason=f"{name} is less than 1; no limit: {NO_LIMIT}")
    return float(limit)
