"""``dataworks status``."""

from __future__ import annotations

import sys
import time

import click

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import WORKING, Ledger
from producer.cli.options import CommandContext, with_context
from producer.cli.start import print_next_step, summary
from producer.connections import Connections
from producer.dispatch import Observation
from producer.message_queue import MessageQueue
from producer.progress import create_view
from producer.run_figures import exit_code, figures


@click.command("status")
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--watch", is_flag=True, help="Stay and show progress until the run ends.")
@with_context
def command(context: CommandContext, run_id: str | None, watch: bool) -> None:
    """Show RUN, or the newest run. Exit code as for the run itself."""
    with context.connections() as connections:
        chosen = run_id or _newest(connections.ledger)
        if watch:
            _watch(context, connections, chosen)
        spec = connections.ledger.spec(chosen)
        run = figures(spec, connections.ledger.progress(chosen))
        if context.as_json:
            context.print_json(run.as_json())
        else:
            context.console.print(f"[bold]{run.run_id}[/bold]  {run.name}")
            context.console.print(summary(run))
            print_next_step(context.console, run)
        sys.exit(exit_code(run))


def _newest(ledger: Ledger) -> str:
    run_ids = ledger.run_ids()
    if not run_ids:
        raise UsageError(
            "there is no run yet", "Start with: dataworks generate service_order --total 1M"
        )
    return run_ids[0]


def _watch(context: CommandContext, connections: Connections, run_id: str) -> None:
    ledger, queue = connections.ledger, MessageQueue(connections.app)
    spec = ledger.spec(run_id)
    with create_view(spec, context.console) as view:
        while True:
            progress = ledger.progress(run_id)
            view.observe(Observation(progress, queue.depth()))
            if context.as_json:
                context.print_json(figures(spec, progress).as_json())
            if progress.state not in WORKING:
                return
            time.sleep(1.0 if context.as_json else 0.2)
