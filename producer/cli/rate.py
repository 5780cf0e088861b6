"""``dataworks rate``."""

from __future__ import annotations

from typing import Any

import click

from producer.cli.shared.completion import complete_runs
from producer.cli.shared.options import RATE, CommandContext, with_connections

NO_LIMIT = "none"


class Limit(click.ParamType[float | str]):
    """A rate, or none for no limit."""

    name = "limit"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        """Return the number that ``value`` says, or NO_LIMIT."""
        if str(value).strip().lower() == NO_LIMIT:
            return NO_LIMIT
        return RATE.convert(value, param, ctx)


_LIMIT = Limit()


@click.command("rate")
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@click.option(
    "--max-rate",
    type=_LIMIT,
    metavar="R|none",
    help="Documents per second of the whole fleet.",
)
@click.option(
    "--max-ru",
    type=_LIMIT,
    metavar="R|none",
    help="Request units per second at the target (Cosmos DB).",
)
@click.option(
    "--source-max-ru",
    type=_LIMIT,
    metavar="R|none",
    help="Request units per second at the source (Cosmos DB).",
)
@with_connections
def command(context: CommandContext, run_id: str, **limits: float | str | None) -> None:
    """Change the limits of RUN while it runs, or show them.

    Workers apply new limits within two seconds. A limit that is not given does not change.
    """
    from dataclasses import asdict

    from producer.resume.change_limits import change_limits

    wanted = {
        name: None if value == NO_LIMIT else float(value)
        for name, value in limits.items()
        if value is not None
    }
    with context.connections() as connections:
        run_id = connections.run_id(run_id)
        found = change_limits(connections, run_id, wanted)
    if context.as_json:
        context.print_json({"run": run_id, **asdict(found)})
        return
    context.console.print(f"{run_id}: {str(found) or 'no limit'}")
