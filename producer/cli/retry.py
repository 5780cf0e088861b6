"""``dataworks retry``."""

from __future__ import annotations

import sys

import click

from producer.cli.shared.completion import complete_runs
from producer.cli.shared.options import CommandContext, with_connections, workers_option


@click.command("retry")
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@click.option("--detach", is_flag=True, help="Send the ranges and exit.")
@workers_option
@with_connections
def command(context: CommandContext, run_id: str, detach: bool, workers: int | None) -> None:
    """Try again to write the documents of RUN that could not be written."""
    from producer.cli.shared.run_to_end import run_to_end
    from producer.resume.continue_run import retry_failures

    with context.run_connections(workers, detach=detach, on_record=True) as connections:
        run_id = connections.run_id(run_id)
        spec = retry_failures(connections, run_id)
        sys.exit(run_to_end(context, connections, spec, detach=detach))
