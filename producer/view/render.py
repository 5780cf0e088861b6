"""A run's live figures, drawn for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.filesize import decimal
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.spec import RunKind
from producer.view.durations import shown_duration
from producer.view.live_snapshot import (
    CollectionProgress,
    LiveSnapshot,
    WorkerProgress,
    busiest_first,
)

_WIDTH = 92
"""Wider bars show no more."""
_NARROW = 60
"""In narrower terminals the view shows only figures, which may wrap, because bars do not fit."""

_LABEL_WIDTH = 11
_MOST_WORKERS = 4
_NAME_WIDTH = 20
_THROTTLED_SHARE = 0.2
"""From this share on, throttling is shown in yellow: the target sets the pace."""


def shortened(name: str, width: int) -> str:
    """Cut a long name in its middle: both of its ends distinguish it from others."""
    if len(name) <= width:
        return name
    front = (width - 1) // 2
    return f"{name[:front]}…{name[len(name) - (width - 1 - front) :]}"


def bars(live: LiveSnapshot, verb: str, width: int, most: int) -> RenderableType:
    """Return a bar for the run, and one for each of its collections."""
    run = live.run
    if width < _NARROW:
        return _figures(live, verb, most)
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
        _count(live),
        Text(_how_long(live), style="cyan"),
    )
    planning = live.is_planning
    for row in collection_rows(live.collections, most):
        known = row.total is not None and (row.total or not planning)
        grid.add_row(
            Text(f"  {row.name}", style="dim"),
            _bar(row.documents, row.total or 0) if known else "",
            _share(row.documents, row.total or 0) if known else "",
            f"{row.documents:,} / {row.total:,}{'+' if planning else ''}"
            if known
            else f"{row.documents:,}",
            f"{row.documents_per_second:,.0f}/s" if row.documents_per_second >= 1 else "",
        )
    return grid


def _figures(live: LiveSnapshot, verb: str, most: int) -> RenderableType:
    """Return what ``bars`` returns, without the bars."""
    run = live.run
    share = _share(run.documents + run.failures, run.documents_total)
    lines = [f"{verb.rstrip()}  {share}  {_count(live)}  {_how_long(live)}".rstrip()]
    for row in collection_rows(live.collections, most):
        known = f" / {row.total:,}" if row.total else ""
        lines.append(f"  {row.name}  {row.documents:,}{known}")
    return Text("\n".join(lines))


def _count(live: LiveSnapshot) -> str:
    run = live.run
    return f"{run.documents:,} / {run.documents_total:,}{'+' if live.is_planning else ''}"


def collection_rows(
    collections: Sequence[CollectionProgress], most: int, width: int = _NAME_WIDTH
) -> list[CollectionProgress]:
    """Return at most ``most`` rows: the busiest collections, and the sum of the others."""
    ordered = busiest_first(collections)
    count = len(ordered) if len(ordered) <= most else most - 1
    shown, rest = ordered[:count], ordered[count:]
    rows = [replace(one, name=shortened(one.name, width)) for one in shown]
    if rest:
        rows.append(
            CollectionProgress(
                f"and {len(rest):,} more",
                sum(one.documents for one in rest),
                sum(one.total or 0 for one in rest),
                sum(one.documents_per_second for one in rest),
            )
        )
    return rows


def collection_table(collections: Sequence[CollectionProgress], most: int) -> Table:
    """Return the collections with their shares, for a run that is shown once."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    for _ in range(2):
        table.add_column(justify="right", no_wrap=True)
    for row in collection_rows(collections, most, width=48):
        total = "?" if row.total is None else f"{row.total:,}"
        share = "" if row.total is None else f"{int(100 * row.share)}%"
        table.add_row(Text(f"  {row.name}"), f"{row.documents:,} of {total}", share)
    return table


def _bar(done: int, total: int) -> ProgressBar:
    return ProgressBar(total=total or 1, completed=min(done, total))


def _share(done: int, total: int) -> str:
    """Format a percentage, rounded down: 100 % means everything."""
    return f"{100 * done // total if total else 0}%"


def _how_long(live: LiveSnapshot) -> str:
    if live.run.is_over:
        return f"{live.run.rate:,.0f} docs/s  {shown_duration(live.run.seconds)}"
    if live.is_planning:
        return "planning"
    eta = f"ETA {live.time_left}" if live.time_left else ""
    is_finishing = not live.run.planning and live.run.share >= 1 and not eta
    return "finishing" if is_finishing else eta


def details(live: LiveSnapshot) -> RenderableType:
    """Return rates, queue, failures and workers."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", width=_LABEL_WIDTH - 2)
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
    if live.following is not None:
        yield from live.following.rows()
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
    failed = "differ" if run.kind is RunKind.VERIFICATION else "failures"
    yield failed, Text(f"{run.failures:,}", style="red" if run.failures else "")
    yield "workers", _workers(live)


def _workers(live: LiveSnapshot) -> RenderableType:
    if live.workers:
        return _WorkerTable(live.workers)
    return "none has reported lately" if live.run.workers else "none has reported yet"


@dataclass(frozen=True, slots=True)
class _WorkerTable:
    """The workers in columns, or in two lines each where the columns do not fit."""

    workers: Sequence[WorkerProgress]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        for _ in range(3):
            grid.add_column(justify="right", no_wrap=True)
        for row in self._rows():
            if options.max_width < _NARROW - _LABEL_WIDTH:
                yield Text(f"{row[0]}\n  {row[1]}  {row[3]}")
            else:
                grid.add_row(*row)
        yield grid

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        # Processes that were replaced would hide those that work.
        workers = sorted(self.workers, key=lambda worker: worker.documents_per_second < 1)
        for worker in workers[:_MOST_WORKERS]:
            yield (
                shortened(worker.name, 28),
                f"{worker.documents_per_second:,.0f} docs/s",
                f"{worker.documents:,}",
                decimal(worker.peak_rss_bytes),
            )
        if rest := workers[_MOST_WORKERS:]:
            yield (
                f"and {len(rest):,} more",
                f"{sum(worker.documents_per_second for worker in rest):,.0f} docs/s",
                f"{sum(worker.documents for worker in rest):,}",
                f"≤ {decimal(max(worker.peak_rss_bytes for worker in rest))}",
            )
