"""The live view of a run: bars and figures on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.migrate.rules import RuleKind
from dataworks_tasks.monitor.alerts import Alert
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.spec import RunKind, RunSpec
from producer.drive.observation import Observation
from producer.view.durations import shown_duration
from producer.view.live_snapshot import AlertWatch, LiveMeter, LiveSnapshot
from producer.view.render import bars, details

_NO_ALERTS = AlertWatch()
_PLAIN_LINE_SECONDS = 5.0
_PATIENCE_SECONDS = 5.0
_LEAST_COLLECTIONS = 4
_OTHER_LINES = 17
"""Lines of the live view besides its collections: figures, workers, and a note or two."""
_VERB = {
    RunKind.GENERATION: "generate",
    RunKind.MIGRATION: "migrate",
    RunKind.VERIFICATION: "verify",
    RunKind.REPAIR: "repair",
}
_LONGEST_VERB = max(map(len, _VERB.values()))
"""Bars of runs that follow each other begin in the same column."""


class TerminalView:
    """Moving bars and figures; when the run is over, the bars stay on the screen."""

    def __init__(
        self, spec: RunSpec, console: Console, ledger: Ledger, watch: AlertWatch = _NO_ALERTS
    ) -> None:
        self._verb = _VERB[spec.kind].ljust(_LONGEST_VERB)
        self._console = console
        self._meter = LiveMeter(spec, ledger, watch)
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._shown: LiveSnapshot | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown is not None:
            self._live.update(self._bars(self._shown), refresh=True)
        self._live.stop()

    def observe(self, observation: Observation) -> None:
        """Draw the view again."""
        self._shown = self._meter.read(observation) or self._shown
        rows: list[RenderableType] = []
        if self._shown is not None:
            rows.append(self.drawn(self._shown))
        notices = [notice(observation)]
        if self._shown is not None:
            notices += [f"alert {alert['name']}: {_fact(alert)}" for alert in self._shown.alerts]
        if shown := "\n".join(filter(None, notices)):
            rows += [Text(), Text(shown, style="yellow")]
        self._live.update(Group(*rows), refresh=True)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._live.console.print(escape(text), highlight=False)

    def drawn(self, live: LiveSnapshot) -> RenderableType:
        """Return the bars and figures as shown on the screen."""
        return Group(self._bars(live), Text(), details(live))

    def _bars(self, live: LiveSnapshot) -> RenderableType:
        room = self._console.height - _OTHER_LINES
        return bars(live, self._verb, self._console.width, max(_LEAST_COLLECTIONS, room))


class PlainView:
    """A line every few seconds: for logs, pipes and cron."""

    def __init__(
        self, spec: RunSpec, console: Console, ledger: Ledger, watch: AlertWatch = _NO_ALERTS
    ) -> None:
        self._console = console
        self._meter = LiveMeter(spec, ledger, watch)
        self._printed_at = float("-inf")
        self._notice = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: there is nothing to restore."""

    def observe(self, observation: Observation) -> None:
        """Print a line if it is time for one, or if the run ended."""
        text = notice(observation)
        if text and text != self._notice:
            self.say(text)
        self._notice = text
        live = self._meter.read(observation)
        for alert in live.transitions if live else ():
            self.say(f"alert {alert['name']} {alert['state']}: {alert['message']}")
        now = time.monotonic()
        if live is None or not (live.run.is_over or now - self._printed_at >= _PLAIN_LINE_SECONDS):
            return
        self._printed_at = now
        self.say(plain_line(live))

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def plain_line(live: LiveSnapshot) -> str:
    """Describe the run in one line."""
    run = live.run
    total = f"{run.documents_total:,}{'+' if run.planning else ''}"
    parts = [f"{run.run_id} {run.state}: {run.documents:,} of {total} documents"]
    if run.is_over:
        parts += [f"{run.rate:,.0f} docs/s", shown_duration(run.seconds)]
    else:
        parts.append(f"{live.metrics.documents_per_second:,.0f} docs/s")
        if live.time_left:
            parts.append(f"ETA {live.time_left}")
        parts.append(counted(len(live.workers), "worker"))
    if run.failures:
        compares = run.kind is RunKind.VERIFICATION
        parts.append(counted(run.failures, "difference" if compares else "failure"))
    if run.throttled_requests:
        parts.append(f"{run.throttled_requests:,} throttled")
    if masked := sum(r.outcome.changed for r in run.rules if r.rule.kind is RuleKind.MASK):
        parts.append(f"{counted(masked, 'value')} masked")
    parts += run.to_read
    if run.finishing:
        parts.append(run.finishing)
    return ", ".join(parts)


class JsonView:
    """A JSON object for each observation: for machines."""

    def __init__(
        self,
        spec: RunSpec,
        ledger: Ledger,
        print_json: Callable[[Any], None],
        watch: AlertWatch = _NO_ALERTS,
    ) -> None:
        self._meter = LiveMeter(spec, ledger, watch)
        self._print_json = print_json

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: there is nothing to restore."""

    def observe(self, observation: Observation) -> None:
        """Print the figures now; an outage has none."""
        live = self._meter.read(observation)
        if live is not None:
            self._print_json(live.as_json())

    def say(self, text: str) -> None:
        """Print it as an object of its own."""
        self._print_json({"message": text})


def notice(observation: Observation) -> str:
    """Return what a person should know besides the numbers; empty if nothing."""
    if observation.outage:
        return f"{observation.outage}; waiting for it"
    return observation.standstill.cause or ""


def create_view(
    spec: RunSpec, console: Console, ledger: Ledger, watch: AlertWatch = _NO_ALERTS
) -> TerminalView | PlainView:
    """Create bars on a terminal, lines elsewhere."""
    view = TerminalView if console.is_terminal else PlainView
    return view(spec, console, ledger, watch)


def _fact(alert: Alert) -> str:
    """Return the alert's message without the run, which the view shows above."""
    return alert["message"].removeprefix(f"run {alert['run']}: ")
