"""``dataworks runs``."""

from __future__ import annotations

import click
from rich.table import Table

from dataworks_tasks.ledger.contract import Ledger
from producer.cli.options import CommandContext, with_context
from producer.progress import shown_duration
from producer.run_figures import RunFigures, figures


@click.command("runs")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    metavar="N",
    help="The newest N runs.",
)
@with_context
def command(context: CommandContext, limit: int) -> None:
    """List the runs, newest first."""
    with context.connections() as connections:
        ledger = connections.ledger
        found = [_figures(ledger, run_id) for run_id in ledger.run_ids()[:limit]]
    if context.as_json:
        context.print_rows(run.as_json() for run in found)
    elif not found:
        context.console.print(
            "No runs yet. Start with: dataworks generate service_order --total 1M"
        )
    else:
        context.console.print(_table(found))


def _figures(ledger: Ledger, run_id: str) -> RunFigures:
    return figures(ledger.spec(run_id), ledger.progress(run_id))


def _table(found: list[RunFigures]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("run", "state", "what"):
        table.add_column(name, no_wrap=name == "run", overflow="fold")
    for name in ("documents", "docs/s", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in found:
        table.add_row(
            run.run_id,
            run.state.value,
            run.name,
            f"{run.documents:,}",
            f"{run.rate:,.0f}",
            shown_duration(run.seconds),
        )
    return table
