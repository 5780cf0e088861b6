"""The live view of a run: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from dataworks_tasks.run_spec import RunKind, RunSpec
from producer.dispatch import Observation
from producer.run_figures import RunFigures, figures

_RATE_WINDOW_SECONDS = 3.0
_PLAIN_LINE_SECONDS = 5.0
_PATIENCE_SECONDS = 5.0
_VERB = {
    RunKind.GENERATION: "generate",
    RunKind.MIGRATION: "migrate",
    RunKind.VERIFICATION: "verify",
}


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


class RateMeter:
    """Documents per second over the last few seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, documents: int) -> float:
        """Take a sample; the rate now."""
        now = self._clock()
        self._samples.append((now, documents))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _RATE_WINDOW_SECONDS:
            self._samples.popleft()
        then, before = self._samples[0]
        return (documents - before) / (now - then) if now > then else 0.0


def seconds_left(run: RunFigures, rate: float) -> float | None:
    """Estimated seconds until the run's last document; None when there is no telling."""
    return (run.documents_total - run.documents) / rate if rate > 0 and not run.planning else None


def shown_duration(seconds: float) -> str:
    """Like 0:07, 12:34 or 26:10:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Documents(ProgressColumn):
    def render(self, task: Task) -> Text:
        total = f"{int(task.total):,}" if task.total else "?"
        done = f"{int(task.completed):,}".rjust(len(total))
        return Text(f"{done} / {total}", style="progress.download")


class _Field(ProgressColumn):
    """A task's own field, ready to show."""

    def __init__(self, name: str, style: str = "") -> None:
        self._name = name
        self._style = style
        super().__init__()

    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get(self._name, "")), style=self._style, justify="right")


class TerminalView:
    """Bars that stay on the screen when the run is done."""

    def __init__(self, spec: RunSpec, console: Console) -> None:
        self._spec = spec
        self._meter = RateMeter()
        self._notice = ""
        self._progress = Progress(
            TextColumn("[bold]{task.description:<8}"),
            BarColumn(bar_width=22),
            _Documents(),
            _Field("rate", "progress.data.speed"),
            _Field("left", "progress.remaining"),
            console=console,
        )
        self._task = self._progress.add_task(_VERB[spec.kind], total=None, rate="", left="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def observe(self, observation: Observation) -> None:
        """Move the bar."""
        self._say_once(notice(observation))
        if observation.progress is None:
            return
        run = figures(self._spec, observation.progress)
        rate = self._meter.add(run.documents)
        left = seconds_left(run, rate)
        finished = observation.progress.finished_at is not None
        self._progress.update(
            self._task,
            total=run.documents_total or None,
            completed=run.documents,
            rate=f"{run.rate if finished else rate:,.0f} docs/s",
            left=shown_duration(run.seconds)
            if finished
            else f"ETA {shown_duration(left)}"
            if left is not None
            else "",
        )

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(text, highlight=False)

    def _say_once(self, text: str) -> None:
        if text and text != self._notice:
            self.say(f"[yellow]{text}[/yellow]")
        self._notice = text


class PlainView:
    """A line every few seconds: for logs, pipes and cron."""

    def __init__(self, spec: RunSpec, console: Console) -> None:
        self._spec = spec
        self._console = console
        self._meter = RateMeter()
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
        if observation.progress is None:
            return
        run = figures(self._spec, observation.progress)
        rate = self._meter.add(run.documents)
        now = time.monotonic()
        ended = observation.progress.finished_at is not None
        if ended or now - self._printed_at >= _PLAIN_LINE_SECONDS:
            self._printed_at = now
            self.say(
                f"{run.run_id} {run.state}: "
                f"{run.documents:,} of {run.documents_total:,} documents, "
                f"{run.rate if ended else rate:,.0f} docs/s, {decimal(run.bytes)}"
            )

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


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


def create_view(spec: RunSpec, console: Console) -> TerminalView | PlainView:
    """Bars on a terminal, lines elsewhere."""
    return TerminalView(spec, console) if console.is_terminal else PlainView(spec, console)
