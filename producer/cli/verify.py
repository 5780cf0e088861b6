"""``dataworks verify``."""

from __future__ import annotations

import sys

import click

from producer.cli.shared.options import CommandContext, with_context
from producer.cli.shared.run_to_end import run_to_end
from producer.start.start_verification import start_verification


@click.command("verify")
@click.argument("run_id", metavar="RUN")
@click.option("--detach", is_flag=True, help="Send the messages and exit.")
@with_context
def command(context: CommandContext, run_id: str, detach: bool) -> None:
    """Compare what RUN should have written with what its target holds, document by document.

    A generation run is generated again, a migration is compared with its source. Exit code 1 when
    anything differs; `dataworks failures` then lists every document that does.
    """
    with context.connections() as connections:
        spec = start_verification(run_id, connections)
        sys.exit(run_to_end(context, connections, spec, detach=detach))
