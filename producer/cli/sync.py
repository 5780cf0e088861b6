"""``dataworks sync``."""

from __future__ import annotations

import sys

import click

from dataworks_tasks.runs.choices import OnDdl
from producer.cli.shared.completion import complete_runs
from producer.cli.shared.options import CommandContext, with_connections


@click.command("sync")
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@click.option(
    "--reverse",
    is_flag=True,
    help="After the cut-over of RUN: follow its target, and keep the old side equal to it.",
)
@click.option(
    "--overwrite-changes",
    is_flag=True,
    help="Continue even if others have changed the side that is written to: compare everything.",
)
@click.option(
    "--on-ddl",
    type=click.Choice([item.value for item in OnDdl]),
    default=OnDdl.STOP.value,
    show_default=True,
    help="What to do when a collection is dropped or renamed.",
)
@with_connections
def command(
    context: CommandContext, run_id: str, reverse: bool, overwrite_changes: bool, on_ddl: str
) -> None:
    """Follow the source of a complete migration from now on, or follow it back.

    Without --reverse, everything is compared once and repaired, because changes between the copy
    and now are unknown. With --reverse, the old side gets every change of the target since the
    cut-over, and you can cut over to it again.
    """
    from producer.cli.shared.sync_run import sync_run
    from producer.resume.start_sync import SyncRequest

    request = SyncRequest(reverse, overwrite_changes, OnDdl(on_ddl))
    with context.connections() as connections:
        run_id = connections.run_id(run_id)
        sys.exit(sync_run(context, connections, run_id, request))
