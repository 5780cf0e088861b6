"""The live view of a run: bars and figures on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.run_spec import RunKind, RunSpec
from producer.dispatch import Observation
from producer.live_figures import LiveFigures, LiveMeter

_PLAIN_LINE_SECONDS = 5.0
_PATIENCE_SECONDS = 5.0
_WIDTH = 92
"""Bars that are wider say no more."""

_MOST_COLLECTIONS = 6
_MOST_WORKERS = 4
_NAME_WIDTH = 20
_THROTTLED_SHARE = 0.2
"""From here on throttling is shown in yellow: the target sets the pace."""

_VERB = {
    RunKind.GENERATION: "generate",
    RunKind.MIGRATION: "migrate",
    RunKind.VERIFICATION: "verify",
}
_LONGEST_VERB = max(map(len, _VERB.values()))
"""Bars of runs that follow each other begin in the same column."""


class RunView(Protocol):
    """Shows a run while a command stays with it; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def observe(self, observation: Observation) -> None:
        """Show what the producer sees now."""

    def say(self, text: str) -> None:
        """Show a line to the person without disturbing the rest."""


def shown_duration(seconds: float) -> str:
    """Like 0:07, 12:34 or 26:10:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def shortened(name: str, width: int) -> str:
    """A name cut in its middle, where it is long: both of its ends tell it from others."""
    if len(name) <= width:
        return name
    front = (width - 1) // 2
    return f"{name[:front]}…{name[len(name) - (width - 1 - front) :]}"


class TerminalView:
    """Bars and figures that move; when the run is over the bars stay on the screen."""

    def __init__(self, spec: RunSpec, console: Console, ledger: Ledger) -> None:
        self._verb = _VERB[spec.kind].ljust(_LONGEST_VERB)
        self._console = console
        self._meter = LiveMeter(spec, ledger)
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._shown: LiveFigures | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown is not None:
            self._live.update(self._bars(self._shown), refresh=True)
        self._live.stop()

    def observe(self, observation: Observation) -> None:
        """Draw it anew."""
        self._shown = self._meter.read(observation) or self._shown
        rows: list[RenderableType] = []
        if self._shown is not None:
            rows += [self._bars(self._shown), Text(), _details(self._shown)]
        if text := notice(observation):
            rows += [Text(), Text(text, style="yellow")]
        self._live.update(Group(*rows), refresh=True)

    def say(self, text: str) -> None:
        """A line above the bars."""
        self._live.console.print(escape(text), highlight=False)

    def _bars(self, live: LiveFigures) -> RenderableType:
        return _bars(live, self._verb, self._console.width)


def _bars(live: LiveFigures, verb: str, width: int) -> RenderableType:
    run = live.run
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.width = min(width, _WIDTH)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    for _ in range(3):
        grid.add_column(justify="right", no_wrap=True)
    settled = run.documents + run.failures
    grid.add_row(
        Text(verb, style="bold"),
        _bar(settled, run.documents_total),
        _share(settled, run.documents_total),
        f"{run.documents:,} / {run.documents_total:,}{'+' if run.planning else ''}",
        Text(_how_long(live), style="cyan"),
    )
    shown = live.collections[:_MOST_COLLECTIONS]
    for one in shown:
        name = Text(f"  {shortened(one.name, _NAME_WIDTH)}", style="dim")
        if one.total is None:
            grid.add_row(name, "", "", f"{one.documents:,}")
        else:
            share = _share(one.documents, one.total)
            count = f"{one.documents:,} / {one.total:,}"
            grid.add_row(name, _bar(one.documents, one.total), share, count)
    if more := len(live.collections) - len(shown):
        grid.add_row(Text(f"  and {more} more", style="dim"))
    return grid


def _bar(done: int, total: int) -> ProgressBar:
    return ProgressBar(total=total or 1, completed=min(done, total))


def _share(done: int, total: int) -> str:
    """Rounded down: 100 % is all of it."""
    return f"{100 * done // total if total else 0}%"


def _how_long(live: LiveFigures) -> str:
    if live.run.is_over:
        return f"{live.run.rate:,.0f} docs/s  {shown_duration(live.run.seconds)}"
    if live.run.planning:
        return "planning"
    if live.run.documents >= live.run.documents_total > 0:
        return "finishing"
    left = live.seconds_left
    return "" if left is None else f"ETA {shown_duration(left)}"


def _details(live: LiveFigures) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", width=9)
    grid.add_column(overflow="fold")
    for name, value in _rows(live):
        grid.add_row(name, value)
    return grid


def _rows(live: LiveFigures) -> Iterator[tuple[str, RenderableType]]:
    run, metrics = live.run, live.metrics
    yield (
        "rate",
        Text.assemble(
            (f"{metrics.documents_per_second:,.0f} docs/s", "bold green"),
            f"   {metrics.average_documents_per_second:,.0f} on average"
            f"   {decimal(round(metrics.bytes_per_second))}/s",
        ),
    )
    yield "elapsed", f"{shown_duration(run.seconds)}   {decimal(run.bytes)}"
    if live.queue is not None:
        yield "queue", f"{live.queue.waiting:,} waiting   {live.queue.in_hand:,} in flight"
    if metrics.request_units_per_second:
        yield "cost", f"{metrics.request_units_per_second:,.0f} RU/s"
    if metrics.throttled_requests:
        slow = metrics.throttled_share >= _THROTTLED_SHARE
        yield (
            "throttled",
            Text(
                f"{metrics.throttled_requests:,} requests   "
                f"{metrics.throttled_share:.0%} of the workers' time",
                style="yellow" if slow else "",
            ),
        )
    yield "failures", Text(f"{run.failures:,}", style="red" if run.failures else "")
    yield "workers", _workers(live)


def _workers(live: LiveFigures) -> RenderableType:
    if not live.workers:
        return "none has reported yet"
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    for _ in range(3):
        grid.add_column(justify="right", no_wrap=True)
    for worker in live.workers[:_MOST_WORKERS]:
        grid.add_row(
            shortened(worker.name, 28),
            f"{worker.documents_per_second:,.0f} docs/s",
            f"{worker.documents:,}",
            decimal(worker.peak_rss_bytes),
        )
    if rest := live.workers[_MOST_WORKERS:]:
        grid.add_row(
            f"and {len(rest):,} more",
            f"{sum(worker.documents_per_second for worker in rest):,.0f} docs/s",
            f"{sum(worker.documents for worker in rest):,}",
            f"≤ {decimal(max(worker.peak_rss_bytes for worker in rest))}",
        )
    return grid


class PlainView:
    """A line every few seconds: for logs, pipes and cron."""

    def __init__(self, spec: RunSpec, console: Console, ledger: Ledger) -> None:
        self._console = console
        self._meter = LiveMeter(spec, ledger)
        self._printed_at = float("-inf")
        self._notice = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to put back."""

    def observe(self, observation: Observation) -> None:
        """Print a line if it is time for one, or if the run ended."""
        text = notice(observation)
        if text and text != self._notice:
            self.say(text)
        self._notice = text
        live = self._meter.read(observation)
        now = time.monotonic()
        if live is None or not (live.run.is_over or now - self._printed_at >= _PLAIN_LINE_SECONDS):
            return
        self._printed_at = now
        self.say(plain_line(live))

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def plain_line(live: LiveFigures) -> str:
    """The run in one line."""
    run = live.run
    total = f"{run.documents_total:,}{'+' if run.planning else ''}"
    parts = [f"{run.run_id} {run.state}: {run.documents:,} of {total} documents"]
    if run.is_over:
        parts += [f"{run.rate:,.0f} docs/s", shown_duration(run.seconds)]
    else:
        parts.append(f"{live.metrics.documents_per_second:,.0f} docs/s")
        if live.seconds_left is not None:
            parts.append(f"ETA {shown_duration(live.seconds_left)}")
        parts.append(f"{len(live.workers)} workers")
    if run.failures:
        parts.append(f"{run.failures:,} failures")
    if run.throttled_requests:
        parts.append(f"{run.throttled_requests:,} throttled")
    return ", ".join(parts)


class JsonView:
    """A JSON object for each observation: for machines."""

    def __init__(self, spec: RunSpec, ledger: Ledger, print_json: Callable[[Any], None]) -> None:
        self._meter = LiveMeter(spec, ledger)
        self._print_json = print_json

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to put back."""

    def observe(self, observation: Observation) -> None:
        """Print the figures now; an outage has none."""
        live = self._meter.read(observation)
        if live is not None:
            self._print_json(live.as_json())

    def say(self, text: str) -> None:
        """Print it as an object of its own."""
        self._print_json({"message": text})


def notice(observation: Observation) -> str:
    """What a person should know of besides the numbers; empty when all is well."""
    if observation.outage:
        return f"{observation.outage}; waiting for it"
    progress, queue = observation.progress, observation.queue
    if progress is not None and progress.last_error:
        return f"last error: {progress.last_error}"
    if progress is not None and queue is not None and queue.waiting and not progress.workers:
        waited = datetime.now(UTC) - progress.created_at
        if waited.total_seconds() > _PATIENCE_SECONDS:
            return "no worker took a message yet; start one: celery -A dataworks_tasks worker"
    return ""


def create_view(spec: RunSpec, console: Console, ledger: Ledger) -> TerminalView | PlainView:
    """Bars on a terminal, lines elsewhere."""
    view = TerminalView if console.is_terminal else PlainView
    return view(spec, console, ledger)
