"""``dataworks failures``."""

from __future__ import annotations

from dataclasses import asdict

import click

from producer.cli.shared.completion import complete_runs
from producer.cli.shared.options import CommandContext, with_connections


@click.command("failures")
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@with_connections
def command(context: CommandContext, run_id: str) -> None:
    """List the documents of RUN that could not be written, or that differ in a verification."""
    with context.connections() as connections:
        run_id = connections.run_id(run_id)
        connections.ledger.state(run_id)
        rows = connections.ledger.failures(run_id)
        if context.as_json:
            context.print_rows(asdict(failure) for failure in rows)
            return
        count = 0
        for failure in rows:
            count += 1
            click.echo(f"{failure.namespace}  {failure.document_id}  {failure.reason}")
        if count == 0:
            click.echo(f"{run_id} has no failures")
