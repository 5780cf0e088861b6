"""``dataworks resume``."""

from __future__ import annotations

import sys

import click

from producer.cli.options import CommandContext, with_context
from producer.cli.start import run_to_end
from producer.continue_run import continue_run


@click.command("resume")
@click.argument("run_id", metavar="RUN")
@click.option("--detach", is_flag=True, help="Send the gaps and leave.")
@with_context
def command(context: CommandContext, run_id: str, detach: bool) -> None:
    """Go on with RUN after a crash, a pause, a cancel or an error: send its gaps, nothing else."""
    with context.connections() as connections:
        spec = continue_run(connections, run_id)
        sys.exit(run_to_end(context, connections, spec, detach=detach))
