"""``dataworks report``."""

from __future__ import annotations

from pathlib import Path

import click

from dataworks_tasks.errors import UsageError
from producer.cli.shared.completion import complete_runs
from producer.cli.shared.options import CommandContext, with_connections


@click.command("report")
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The HTML file to write.  [default: RUN.html]",
)
@click.option("--hide-keys", is_flag=True, help="Hide the keys of documents.")
@with_connections
def command(context: CommandContext, run_id: str, output: Path | None, hide_keys: bool) -> None:
    """Write a report of RUN and its verifications that can be handed over or printed.

    It is one HTML file without scripts. With --json the report is printed instead.
    """
    from producer.report.render_report import render_report
    from producer.report.run_report import read_report
    from producer.unfinished_file import complete_or_removed

    with context.connections() as connections:
        run_id = connections.run_id(run_id)
        report = read_report(connections.ledger, run_id, hide_keys=hide_keys)
    if context.as_json:
        context.print_json(report.as_json(hide_keys=hide_keys))
        return
    path = output or Path(f"{run_id}.html")
    try:
        with complete_or_removed(path.open("w", encoding="utf-8"), path) as file:
            file.write(render_report(report, hide_keys=hide_keys))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "Name another file with --output"
        ) from None
    console = context.console
    console.print(report.verdict, soft_wrap=True)
    console.print(f"The report is in {path}", soft_wrap=True)
