"""``dataworks cancel``."""

from __future__ import annotations

import click

from dataworks_tasks.ledger.contract import RunState
from producer.cli.halt import halt
from producer.cli.options import CommandContext, with_context


@click.command("cancel")
@click.argument("run_id", metavar="RUN")
@with_context
def command(context: CommandContext, run_id: str) -> None:
    """Stop RUN. What is written stays, and resume would go on with it."""
    halt(context, run_id, RunState.CANCELLED)
