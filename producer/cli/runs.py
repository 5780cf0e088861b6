"""``dataworks runs``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dataworks_tasks.errors import DataWorksError, SpecRefused
from dataworks_tasks.numerals import counted
from producer.cli.shared.options import DURATION, CommandContext, Count, with_connections

if TYPE_CHECKING:
    from rich.console import Console

    from dataworks_tasks.ledger.contract import Ledger
    from producer.view.run_summary import RunSummary

_WIDE_COLUMNS = 110
_TO_READ = 4


@click.command("runs")
@click.option(
    "--limit",
    type=Count(1),
    default=20,
    show_default=True,
    metavar="N",
    help="The newest N runs.",
)
@click.option(
    "--prune",
    type=DURATION,
    metavar="AGE",
    help="Forget runs that ended longer ago than this, like 30d; their documents stay.",
)
@with_connections
def command(context: CommandContext, limit: int, prune: float | None) -> None:
    """List the runs, newest first."""
    from producer.cli.shared.prune_runs import prune_runs

    with context.connections() as connections:
        ledger = connections.ledger
        if prune is not None:
            _print_forgotten(context, prune_runs(ledger, timedelta(seconds=prune)))
            return
        found, refused = _read(ledger, ledger.run_ids()[:limit], alone=connections.alone)
    if context.as_json:
        context.print_rows(run.as_json() for run in found)
    elif not found and not refused:
        context.print_hint("No runs yet. Start with: dataworks generate service_order --total 1M")
    elif found:
        print_runs(context.console, [_pasteable(context, run) for run in found])
    for run_id, error in refused:
        click.echo(f"{run_id}: {error}", err=True)
    if refused:
        sys.exit(_TO_READ)


def _print_forgotten(context: CommandContext, run_ids: list[str]) -> None:
    if context.as_json:
        context.print_json({"forgotten": run_ids})
    else:
        context.console.print(f"{counted(len(run_ids), 'run is', 'runs are')} forgotten")


def _read(
    ledger: Ledger, run_ids: Sequence[str], *, alone: bool
) -> tuple[list[RunSummary], list[tuple[str, DataWorksError]]]:
    """Return the runs, and those that another version recorded, with what this one cannot read."""
    found: list[RunSummary] = []
    refused: list[tuple[str, DataWorksError]] = []
    for run_id in run_ids:
        try:
            found.append(_summarize(ledger, run_id, alone=alone))
        except SpecRefused as error:
            refused.append((run_id, error))
    return found, refused


def _pasteable(context: CommandContext, run: RunSummary) -> RunSummary:
    return replace(run, cause=context.pasteable(run.cause, run.flags)) if run.cause else run


def _summarize(ledger: Ledger, run_id: str, *, alone: bool) -> RunSummary:
    """Sum up a run. ``alone``: its Redis was started for this look at it and has no workers."""
    from dataworks_tasks.ledger.contract import WORKING
    from dataworks_tasks.monitor.standstill import cause_of_standstill
    from producer.view.run_summary import summarize

    progress = ledger.progress(run_id)
    if alone and progress.state in WORKING:
        ended = "the command that worked on it has ended"
        cause: str | None = f"{ended}; continue with: dataworks resume {run_id}"
    else:
        cause = cause_of_standstill(ledger, progress)
    return summarize(ledger.spec(run_id), progress, cause=cause)


def print_runs(console: Console, found: list[RunSummary]) -> None:
    """Print one line per run; what does not fit is printed on the line below."""
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from producer.cli.shared.run_outcome import shown_state

    wide = console.width >= _WIDE_COLUMNS
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("run", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("documents", "docs/s", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("what", no_wrap=True, overflow="ellipsis")
    for run in found:
        more = [escape(run.name)] if wide else []
        table.add_row(run.run_id, shown_state(run), *_numbers(run), *more)
    if wide:
        console.print(table)
        for run in found:
            if run.cause:
                console.print(f"{run.run_id}: {run.cause}", markup=False, style="yellow")
        return
    with console.capture() as capture:
        console.print(table)
    header, *lines = capture.get().splitlines()
    console.print(Text.from_ansi(header))
    for line, run in zip(lines, found, strict=True):
        console.print(Text.from_ansi(line))
        console.print(Text(f"  {run.name}", style="dim"), no_wrap=True, overflow="ellipsis")
        if run.cause:
            console.print(f"  {run.cause}", markup=False, style="yellow")


def _numbers(run: RunSummary) -> tuple[str, str, str]:
    from producer.view.durations import shown_duration

    return f"{run.documents:,}", f"{run.rate:,.0f}", shown_duration(run.seconds)
