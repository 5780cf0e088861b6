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
@click.option(
    "--max-failures",
    type=click.IntRange(0),
    metavar="N",
    help="Stop at more than N differences; by default everything is compared.",
)
@with_context
def command(context: CommandContext, run_id: str, detach: bool, max_failures: int | None) -> None:
    """Compare what RUN should have written with what its target holds, document by document.

    A generation run is generated again. A migration is compared with its source: documents,
    indexes, options, validators and views. When anything differs, the verification ends as
    "different" with exit code 1, and `dataworks failures` lists the documents that do.
    """
    with context.connections() as connections:
        spec = start_verification(run_id, connections, max_failures)
        sys.exit(run_to_end(context, connections, spec, detach=detach))
