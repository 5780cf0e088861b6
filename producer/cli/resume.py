"""``dataworks resume``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataworks_tasks.errors import UsageError
from dataworks_tasks.numerals import counted
from producer.cli.shared.completion import complete_runs
from producer.cli.shared.options import CommandContext, with_connections, workers_option

if TYPE_CHECKING:
    from producer.connections import Connections

_NOT_FINISHED = 3


@click.command("resume")
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@click.option("--detach", is_flag=True, help="Send the gaps and exit.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="Redis has lost RUN: record it again, and acknowledge what is at the target.",
)
@click.option(
    "--spec",
    "spec_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --rebuild: the run's spec; .dataworks/runs/RUN.json if not given.",
)
@click.option(
    "--resync",
    is_flag=True,
    help="The source's history is lost: take a new position, compare everything and repair it.",
)
@workers_option
@with_connections
def command(
    context: CommandContext,
    run_id: str,
    detach: bool,
    rebuild: bool,
    spec_file: Path | None,
    resync: bool,
    workers: int | None,
) -> None:
    """Resume RUN after a crash, a pause, a cancel or an error: do only what is missing."""
    from producer.cli.shared.run_to_end import run_to_end
    from producer.resume.continue_run import continue_run
    from producer.resume.rebuild import rebuild_run
    from producer.resume.spec_file import kept_name, load_spec
    from producer.start.run_name import name_run

    if spec_file is not None and not rebuild:
        raise UsageError("--spec requires --rebuild", "Add --rebuild")
    with context.run_connections(workers, detach=detach, on_record=not rebuild) as connections:
        run_id = connections.run_id(run_id)
        if resync:
            sys.exit(_resync(context, connections, run_id))
        if rebuild:
            kept = load_spec(run_id, spec_file)
            run_id = kept.run_id
            found = rebuild_run(connections, kept)
            name_run(connections.ledger, kept, kept_name(kept))
            context.console.print(f"{run_id} is on record again with {counted(found, 'document')}")
        spec = continue_run(connections, run_id)
        sys.exit(run_to_end(context, connections, spec, detach=detach))


def _resync(context: CommandContext, connections: Connections, run_id: str) -> int:
    """Continue to follow from a new position, and reconcile what changed in between."""
    from producer.cli.shared.compare_and_repair import compare_and_repair, reconcile_everything
    from producer.drive.attach import set_going
    from producer.resume.continue_run import continue_run
    from producer.resume.resync import resynced, take_new_position
    from producer.start.start_repair import RepairRequest

    lost = take_new_position(connections, run_id)
    context.console.print(
        f"{run_id} continues from "
        + ("the source's newest position" if lost else "its position, which was not lost")
    )
    spec = continue_run(connections, run_id)
    set_going(connections, spec)
    if not connections.ledger.key_windows.is_copied(run_id):
        context.print_hint(
            "It is still copying. When that is done, compare and repair what was missed: "
            f"dataworks resume {run_id} --resync"
        )
        return _NOT_FINISHED
    request = RepairRequest(delete_extra=True)
    code = compare_and_repair(
        context,
        connections,
        run_id,
        request,
        live=True,
        too_many=lambda: reconcile_everything(context, connections, run_id),
    )
    if code == 0:
        resynced(connections.ledger, run_id)
    return code
