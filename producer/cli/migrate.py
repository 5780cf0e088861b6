"""``dataworks migrate``."""

from __future__ import annotations

import sys
from typing import Any

import click

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.spec import (
    ID_FROM_SHARD_KEY,
    IndexPolicy,
    OnConflict,
    Partitioner,
    Transform,
)
from producer.cli.shared.dry_run import print_estimate
from producer.cli.shared.options import RATE, CommandContext, run_options, with_context
from producer.cli.shared.run_to_end import Stay, run_new
from producer.estimate.migration_estimate import estimate_migration
from producer.start.run_request import MigrationRequest, RunOptions
from producer.start.separate_collections import check_separate
from producer.start.start_migration import plan_migration, start_migration

_CONFLICTS = click.Choice([item.value for item in OnConflict])
_INDEXES = click.Choice([item.value for item in IndexPolicy])
_PARTITIONERS = click.Choice([each.value for each in Partitioner])


@click.command("migrate")
@click.option(
    "--include",
    multiple=True,
    metavar="DB.COLL",
    help="What to copy; * matches anything; repeatable.",
)
@click.option("--exclude", multiple=True, metavar="DB.COLL", help="What to leave out.")
@click.option("--to", metavar="DB.COLL", help="Where the one collection goes.")
@click.option("--map", "mappings", multiple=True, metavar="A.*=B.*", help="Rename on the way.")
@click.option("--views", is_flag=True, help="Define the views that match, too.")
@click.option(
    "--strategy",
    default="default",
    show_default=True,
    metavar="NAME",
    help="See: dataworks strategies.",
)
@click.option("--filter", "query", metavar="JSON", help="Copy only what matches, Extended JSON.")
@click.option("--rename", multiple=True, metavar="A.B=C", help="Rename a field.")
@click.option("--drop-field", multiple=True, metavar="A.B", help="Leave a field out.")
@click.option("--set", "set_", multiple=True, metavar="A.B=JSON", help="Set a field.")
@click.option(
    "--mask",
    multiple=True,
    metavar="FIELD=faker:METHOD",
    help="Replace a value by a made-up one, the same for the same value.",
)
@click.option(
    "--mask-seed",
    type=int,
    default=0,
    show_default=True,
    metavar="S",
    help="Other seed, other made-up values.",
)
@click.option(
    "--id-from",
    type=click.Choice([ID_FROM_SHARD_KEY]),
    help="Make each _id of the old one and the source's shard key, where that keeps _ids apart.",
)
@click.option(
    "--on-conflict",
    type=_CONFLICTS,
    default="fail",
    show_default=True,
    help="When the target holds another document with the same _id.",
)
@click.option(
    "--indexes",
    type=_INDEXES,
    default="after",
    show_default=True,
    help="When to build the source's indexes.",
)
@click.option(
    "--partitioner",
    type=_PARTITIONERS,
    default="auto",
    show_default=True,
    help="How the key space is cut into slices.",
)
@click.option(
    "--source-max-ru",
    type=RATE,
    metavar="R",
    help="Request units per second of the whole fleet at the source (Cosmos DB).",
)
@click.option(
    "--different-servers",
    is_flag=True,
    help="Source and target are two servers, though their collections have the same UUIDs or none.",
)
@click.option(
    "--allow-unmatched",
    is_flag=True,
    help="Allow rules, filters and patterns that match nothing.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be copied, and write nothing.")
@run_options
@with_context
def command(
    context: CommandContext,
    options: RunOptions,
    detach: bool,
    verify: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Copy collections from the source to the target, byte for byte.

    \b
    dataworks migrate --include shop.orders --to archive.orders
    dataworks migrate --include 'shop.*' --map 'shop.*=archive.*'
    """
    stay = Stay(detach, verify)
    request = _request(options, flags)
    with context.connections() as connections:
        if dry_run:
            job = plan_migration(request, connections.config, connections).job
            separate = check_separate(
                connections.source,
                connections.target,
                job.namespaces,
                different_servers=request.different_servers,
                may_write=False,
            )
            size = options.batch_size or connections.config.batch_aggregation_size
            estimate = estimate_migration(connections.source, connections.target, job, size)
            print_estimate(context, estimate)
            if not (separate or context.as_json):
                context.console.print(
                    "The run will write a marker to the target first and look for it at the "
                    "source: their UUIDs do not say whether they are one server."
                )
            return
        spec = start_migration(request, connections.config, connections)
        sys.exit(run_new(context, connections, spec, stay))


def _request(options: RunOptions, flags: dict[str, Any]) -> MigrationRequest:
    transform = Transform(
        rename=tuple(_pair("--rename", text) for text in flags["rename"]),
        drop=flags["drop_field"],
        set=tuple(_pair("--set", text) for text in flags["set_"]),
        mask=tuple(_pair("--mask", text) for text in flags["mask"]),
        mask_seed=flags["mask_seed"],
    )
    return MigrationRequest(
        include=flags["include"],
        exclude=flags["exclude"],
        to=flags["to"],
        mappings=flags["mappings"],
        views=flags["views"],
        strategy=flags["strategy"],
        filter=flags["query"],
        transform=transform,
        id_from=flags["id_from"],
        on_conflict=OnConflict(flags["on_conflict"]),
        indexes=IndexPolicy(flags["indexes"]),
        partitioner=flags["partitioner"],
        different_servers=flags["different_servers"],
        allow_unmatched=flags["allow_unmatched"],
        options=options,
    )


def _pair(flag: str, text: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise UsageError(f"{flag} {text} is not LEFT=RIGHT", f"Write {flag} LEFT=RIGHT")
    return left, right
