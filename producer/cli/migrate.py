"""``dataworks migrate``."""

from __future__ import annotations

import sys

import click

from dataworks_tasks.run_spec import IndexPolicy, OnConflict
from producer.cli.options import CommandContext, run_options, with_context
from producer.cli.start import run_to_end
from producer.run_request import MigrationRequest, RunOptions
from producer.start_migration import start_migration


@click.command("migrate")
@click.option("--include", multiple=True, metavar="DB.COLL", help="What to copy; repeatable.")
@click.option("--to", metavar="DB.COLL", help="Where one collection goes.")
@click.option(
    "--strategy",
    default="default",
    show_default=True,
    metavar="NAME",
    help="See: dataworks strategies.",
)
@click.option("--filter", "query", metavar="JSON", help="Copy only what matches, Extended JSON.")
@click.option(
    "--on-conflict",
    type=click.Choice([item.value for item in OnConflict]),
    default="fail",
    show_default=True,
    help="When the target holds another document with the same _id.",
)
@click.option(
    "--indexes",
    type=click.Choice([item.value for item in IndexPolicy]),
    default="after",
    show_default=True,
    help="When to build the source's indexes.",
)
@click.option(
    "--partitioner",
    type=click.Choice(["auto", "walk", "sample", "objectid-time"]),
    default="auto",
    show_default=True,
    help="How the key space is cut into slices.",
)
@run_options
@with_context
def command(
    context: CommandContext,
    include: tuple[str, ...],
    query: str | None,
    on_conflict: str,
    indexes: str,
    options: RunOptions,
    detach: bool,
    **flags: str,
) -> None:
    """Copy collections from the source to the target, byte for byte.

    \b
    dataworks migrate --include shop.orders --to archive.orders
    """
    request = MigrationRequest(
        include=include,
        filter=query,
        on_conflict=OnConflict(on_conflict),
        indexes=IndexPolicy(indexes),
        options=options,
        **flags,  # type: ignore[arg-type]
    )
    with context.connections() as connections:
        spec = start_migration(request, connections.config, connections)
        sys.exit(run_to_end(context, connections, spec, detach=detach))
