"""``dataworks doctor``."""

from __future__ import annotations

import sys

import click

from producer.cli.shared.options import CommandContext, with_connections


@click.command("doctor")
@with_connections
def command(context: CommandContext) -> None:
    """Check Redis, source, target and workers. Exit code 1 when something must be fixed."""
    from rich.markup import escape

    from producer.connections import Connections
    from producer.doctor.preflight import run_checks

    good = True
    with Connections(context.config()) as connections:
        debug = bool(click.get_current_context().find_root().params.get("debug"))
        for check in run_checks(connections, debug=debug):
            good &= check.ok
            remedy = context.pasteable(check.remedy)
            if context.as_json:
                context.print_json({**check.as_json(), "remedy": remedy})
                continue
            mark = "[green]OK  [/green]" if check.ok else "[red]FAIL[/red]"
            below = f"\n       {remedy}" if remedy else ""
            found = escape(f"{check.name}: {check.found}{below}")
            context.console.print(f"{mark}  {found}", soft_wrap=True)
    sys.exit(0 if good else 1)
