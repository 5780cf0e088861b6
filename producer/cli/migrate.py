"""``dataworks migrate``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from dataworks_tasks.errors import UsageError
from producer.cli.shared.migration_options import (
    measuring_options,
    migration_options,
    migration_request,
)
from producer.cli.shared.options import (
    RATE,
    CommandContext,
    run_options,
    with_connections,
    workers_option,
)

if TYPE_CHECKING:
    from producer.estimate.assess_migration import Measuring
    from producer.start.run_request import RunOptions


@click.command("migrate")
@migration_options
@click.option(
    "--source-max-ru",
    type=RATE,
    metavar="R",
    help="Request units per second of the whole fleet at the source (Cosmos DB).",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what will not arrive unchanged and how long the run takes; write nothing.",
)
@measuring_options
@run_options
@workers_option
@with_connections
def command(
    context: CommandContext,
    options: RunOptions,
    detach: bool,
    verify: bool,
    dry_run: bool,
    workers: int | None,
    flags: dict[str, Any],
    measuring: Measuring,
) -> None:
    """Copy collections from the source to the target, byte for byte.

    \b
    dataworks migrate --include shop.orders --to archive.orders
    dataworks migrate --include 'shop.*' --map 'shop.*=archive.*'
    """
    from producer.cli.shared.dry_run import print_assessment
    from producer.cli.shared.run_to_end import Stay, run_new, say_on_record
    from producer.estimate.assess_migration import assess
    from producer.resume.named_run import find_named_run
    from producer.resume.spec_file import keep_name
    from producer.start.start_migration import start_migration

    stay = Stay(detach, verify)
    request = migration_request(options, flags)
    if measuring.write and not dry_run:
        raise UsageError("--write-sample requires --dry-run", "Leave it out, or add --dry-run")
    if dry_run:
        with context.connections() as connections:
            found = assess(connections, request, measuring)
            print_assessment(context, found)
            sys.exit(4 if found.concerns else 0)
    with context.run_connections(workers, detach=detach or request.follow) as connections:
        known = find_named_run(connections, request)
        spec = known or start_migration(request, connections.config, connections)
        keep_name(options.run_name, spec)
        if known:
            say_on_record(context, options.run_name)
        sys.exit(run_new(context, connections, spec, stay))
