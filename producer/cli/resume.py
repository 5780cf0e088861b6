"""``dataworks resume``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dataworks_tasks.errors import UsageError
from producer.cli.shared.options import CommandContext, with_context
from producer.cli.shared.run_to_end import run_to_end
from producer.resume.continue_run import continue_run
from producer.resume.rebuild import rebuild_run
from producer.resume.spec_file import load_spec


@click.command("resume")
@click.argument("run_id", metavar="RUN")
@click.option("--detach", is_flag=True, help="Send the gaps and exit.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="Redis has lost RUN: record it again, with what is at the target.",
)
@click.option(
    "--spec",
    "spec_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --rebuild: the run's spec; .dataworks/runs/RUN.json if not given.",
)
@with_context
def command(
    context: CommandContext, run_id: str, detach: bool, rebuild: bool, spec_file: Path | None
) -> None:
    """Resume RUN after a crash, a pause, a cancel or an error: send its gaps, nothing else."""
    if spec_file is not None and not rebuild:
        raise UsageError("--spec goes with --rebuild", f"dataworks resume {run_id} --rebuild")
    with context.connections() as connections:
        if rebuild:
            found = rebuild_run(connections, load_spec(run_id, spec_file))
            context.console.print(f"{run_id} is on record again with {found:,} documents")
        spec = continue_run(connections, run_id)
        sys.exit(run_to_end(context, connections, spec, detach=detach))
