"""The live view of a run: bars and figures on a terminal, or objects for machines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.monitor.alerts import Alert
from dataworks_tasks.runs.spec import RunKind, RunSpec
from producer.drive.observation import Observation
from producer.view.live_snapshot import NO_ALERTS, AlertWatch, LiveMeter, LiveSnapshot
from producer.view.plain_view import PlainView, notice
from producer.view.render import bars, details

_LEAST_COLLECTIONS = 4
_OTHER_LINES = 4
"""The run's name above the view, its bar, an empty line, and one for what is added next."""
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
        self,
        spec: RunSpec,
        console: Console,
        ledger: Ledger,
        watch: AlertWatch = NO_ALERTS,
        complete: Callable[[str], str] = str,
    ) -> None:
        """``complete``: completes the commands in texts."""
        self._complete = complete
        self._verb = _VERB[spec.kind].ljust(_LONGEST_VERB)
        self._console = console
        self._meter = LiveMeter(spec, ledger, watch)
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._shown: LiveSnapshot | None = None
        self._room = _LEAST_COLLECTIONS

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown is not None:
            self._room = max(self._room, self._console.height - _OTHER_LINES)  # no figures below
            self._live.update(self._bars(self._shown), refresh=True)
        self._live.stop()

    def observe(self, observation: Observation) -> None:
        """Draw the view again."""
        self._shown = self._meter.read(observation) or self._shown
        notices = [self._complete(notice(observation))]
        if self._shown is not None:
            notices += [f"alert {alert['name']}: {_fact(alert)}" for alert in self._shown.alerts]
        below: list[RenderableType] = []
        if shown := "\n".join(filter(None, notices)):
            below = [Text(), Text(shown, style="yellow")]
        drawn = Group(*below) if self._shown is None else self.drawn(self._shown, *below)
        self._live.update(drawn, refresh=True)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._live.console.print(escape(self._complete(text)), highlight=False)

    def drawn(self, live: LiveSnapshot, *below: RenderableType) -> RenderableType:
        """Return the bars and figures as shown on the screen, and what comes below them."""
        others = Group(details(live), *below)
        taken = len(self._console.render_lines(others, pad=False)) + _OTHER_LINES
        self._room = max(_LEAST_COLLECTIONS, self._console.height - taken)
        return Group(self._bars(live), Text(), others)

    def _bars(self, live: LiveSnapshot) -> RenderableType:
        return bars(live, self._verb, self._console.width, self._room)


class JsonView:
    """A JSON object for each observation: for machines."""

    def __init__(
        self,
        spec: RunSpec,
        ledger: Ledger,
        print_json: Callable[[Any], None],
        watch: AlertWatch = NO_ALERTS,
    ) -> None:
        self._meter = LiveMeter(spec, ledger, watch)
        self._print_json = print_json
        self._outage: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: there is nothing to restore."""

    def observe(self, observation: Observation) -> None:
        """Print the figures now, or what an outage is about, once."""
        if observation.outage is not None:
            if observation.outage != self._outage:
                self.say(notice(observation))
            self._outage = observation.outage
            return
        self._outage = None
        live = self._meter.read(observation)
        if live is not None:
            self._print_json(live.as_json())

    def say(self, text: str) -> None:
        """Print it as an object of its own."""
        self._print_json({"message": text})


def create_view(
    spec: RunSpec,
    console: Console,
    ledger: Ledger,
    watch: AlertWatch = NO_ALERTS,
    complete: Callable[[str], str] = str,
) -> TerminalView | PlainView:
    """Create bars on a terminal, lines elsewhere. ``complete``: completes commands in texts."""
    if console.is_terminal:
        return TerminalView(spec, console, ledger, watch, complete)
    print_line = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    return PlainView(spec, lambda line: print_line(complete(line)), ledger, watch)


def _fact(alert: Alert) -> str:
    """Return the alert's message without the run, which the view shows above."""
    return alert["message"].removeprefix(f"run {alert['run']}: ")
