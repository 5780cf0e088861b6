"""A run's live figures, drawn for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.filesize import decimal
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dataworks_tasks.numerals import counted
from producer.view.live_snapshot import LiveSnapshot

_WIDTH = 92
"""Bars that are wider say no more."""

_MOST_COLLECTIONS = 6
_MOST_WORKERS = 4
_NAME_WIDTH = 20
_THROTTLED_SHARE = 0.2
"""From here on throttling is shown in yellow: the target sets the pace."""


def shown_duration(seconds: float) -> str:
    """Like 0:07, 12:34 or 26:10:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def shortened(name: str, width: int) -> str:
    """Cut a long name in its middle: both of its ends distinguish it from others."""
    if len(name) <= width:
        return name
    front = (width - 1) // 2
    return f"{name[:front]}…{name[len(name) - (width - 1 - front) :]}"


def bars(live: LiveSnapshot, verb: str, width: int) -> RenderableType:
    """A bar for the run, and one for each of its collections."""
    run = live.run
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.width = min(width, _WIDTH)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    for _ in range(3):
        grid.add_column(justify="right", no_wrap=True)
    completed = run.documents + run.failures
    grid.add_row(
        Text(verb, style="bold"),
        _bar(completed, run.documents_total),
        _share(completed, run.documents_total),
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
            count = f"{one.documents:,} / {one.total:,}{'+' if run.planning else ''}"
            grid.add_row(name, _bar(one.documents, one.total), share, count)
    if more := len(live.collections) - len(shown):
        grid.add_row(Text(f"  and {more} more", style="dim"))
    return grid


def _bar(done: int, total: int) -> ProgressBar:
    return ProgressBar(total=total or 1, completed=min(done, total))


def _share(done: int, total: int) -> str:
    """Rounded down: 100 % is all of it."""
    return f"{100 * done // total if total else 0}%"


def _how_long(live: LiveSnapshot) -> str:
    if live.run.is_over:
        return f"{live.run.rate:,.0f} docs/s  {shown_duration(live.run.seconds)}"
    if live.run.planning:
        return "planning"
    if live.run.documents >= live.run.documents_total > 0:
        return "finishing"
    left = live.seconds_left
    return "" if left is None else f"ETA {shown_duration(left)}"


def details(live: LiveSnapshot) -> RenderableType:
    """Rates, queue, failures and workers."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", width=9)
    grid.add_column(overflow="fold")
    for name, value in _rows(live):
        grid.add_row(name, value)
    return grid


def _rows(live: LiveSnapshot) -> Iterator[tuple[str, RenderableType]]:
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
                f"{counted(metrics.throttled_requests, 'request')}   "
                f"{metrics.throttled_share:.0%} of the workers' time",
                style="yellow" if slow else "",
            ),
        )
    for item in run.rules:
        yield "rule", f"{item.rule}   {item}"
    for note in run.notes:
        yield note.topic, Text(str(note), style="yellow" if note.attention else "")
    if run.finishing:
        yield "finish", run.finishing
    yield "failures", Text(f"{run.failures:,}", style="red" if run.failures else "")
    yield "workers", _workers(live)


def _workers(live: LiveSnapshot) -> RenderableType:
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
