"""``dataworks indexes``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from producer.cli.shared.completion import complete_runs
from producer.cli.shared.options import CommandContext, with_connections

if TYPE_CHECKING:
    from producer.resume.build_indexes import CopiedIndexes


@click.command("indexes")
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@with_connections
def command(context: CommandContext, run_id: str) -> None:
    """Build the indexes of the migration RUN that its target lacks. Exit code 4 if one is missing.

    The end of a run lists the indexes that could not be built. Remove the cause, such as a
    duplicate key, and run this command. It also builds the source's indexes after `--indexes none`.
    """
    from rich.markup import escape

    from producer.resume.build_indexes import build_indexes_again, check_indexes

    with context.connections() as connections:
        run_id = connections.run_id(run_id)
        spec = check_indexes(connections, run_id)
        with context.console.status("reading the indexes") as status:
            show = lambda line: status.update(escape(line))  # noqa: E731
            done = list(build_indexes_again(connections, spec, show))
    if context.as_json:
        context.print_rows(row for item in done for row in _rows(item))
    else:
        _print(context, done)
    sys.exit(4 if any(item.copy.refused for item in done) else 0)


def _rows(item: CopiedIndexes) -> list[dict[str, str]]:
    target = str(item.pair.target)
    states = [(name, "built", "") for name in item.copy.built]
    states += [(name, "present", "") for name in item.copy.present]
    states += [(refused.name, "not built", refused.reason) for refused in item.copy.refused]
    return [
        {"collection": target, "index": name, "state": state, "reason": reason}
        for name, state, reason in states
    ]


def _print(context: CommandContext, done: list[CopiedIndexes]) -> None:
    from rich.markup import escape
    from rich.table import Table

    rows = [row for item in done for row in _rows(item)]
    if not rows:
        context.console.print("The source has no indexes besides those on _id.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("collection", "index", "state", "reason"):
        table.add_column(name, overflow="fold")
    for row in rows:
        color = "yellow" if row["state"] == "not built" else ""
        table.add_row(*(escape(row[name]) for name in row), style=color)
    context.console.print(table)
