"""``dataworks cancel``."""

from __future__ import annotations

import click

from producer.cli.shared.completion import complete_runs
from producer.cli.shared.options import CommandContext, with_connections


@click.command("cancel")
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@with_connections
def command(context: CommandContext, run_id: str) -> None:
    """Stop RUN. Written documents stay, and resume can still continue the run."""
    from dataworks_tasks.ledger.contract import RunState
    from producer.cli.shared.stop_run import stop_and_print

    stop_and_print(context, run_id, RunState.CANCELLED)
