"""``dataworks plan``."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from dataworks_tasks.errors import UsageError
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.bounds import MAX_BATCH_SIZE
from producer.cli.shared.migration_options import (
    measuring_options,
    migration_options,
    migration_request,
)
from producer.cli.shared.options import (
    COUNT,
    DURATION,
    RATE,
    CommandContext,
    Count,
    with_connections,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from producer.estimate.assess_migration import Measuring
    from producer.estimate.scaling import ScalingEstimate
    from producer.start.run_request import MigrationRequest

_WEEKEND_SECONDS = 60 * 3600.0


@click.command("plan")
@click.argument("what", metavar="[TEMPLATE]", required=False)
@click.option("--total", type=COUNT, metavar="N", help="Number of documents, also 10k, 5M or 1e9.")
@click.option(
    "--batch-size",
    type=Count(1, MAX_BATCH_SIZE),
    metavar="B",
    help="Documents per message; otherwise FRAMEWORK_BATCH_AGGREGATION_SIZE, 10,000.",
)
@click.option(
    "--workers",
    type=Count(1, 100_000),
    default=2,
    show_default=True,
    metavar="N",
    help="Worker processes of the whole fleet.",
)
@click.option(
    "--rate",
    type=RATE,
    metavar="R",
    help="Documents per second that one process writes, measured in a small run.",
)
@click.option(
    "--max-rate",
    type=RATE,
    metavar="R",
    help="Documents per second of the whole fleet; no limit if not given.",
)
@click.option(
    "--max-ru",
    type=RATE,
    metavar="R",
    help="Request units per second of the whole fleet (Cosmos DB).",
)
@click.option(
    "--within",
    type=DURATION,
    default="60h",
    show_default=True,
    metavar="T",
    help="The time available for a migration, like 8h or 2d; 60h is a weekend.",
)
@migration_options
@measuring_options
@with_connections
def command(
    context: CommandContext,
    what: str | None,
    total: int | None,
    batch_size: int | None,
    workers: int,
    rate: float | None,
    max_rate: float | None,
    max_ru: float | None,
    within: float,
    flags: dict[str, Any],
    measuring: Measuring,
) -> None:
    """Estimate the time and resources of a run before it starts.

    For a generation: messages, Redis memory, bytes, request units and hours. Makes a few documents
    of TEMPLATE (service_order if none is given) to measure them, and connects to no server.

    For a migration, with --include: copies for a few seconds, as one worker would, and says how
    long the entire migration takes and whether that fits the time available. `dataworks migrate
    --dry-run` lists what will not arrive unchanged.

    \b
    dataworks plan service_order --total 1e9 --workers 32 --rate 20k
    dataworks plan --include 'shop.*' --workers 8 --write-sample
    """
    from producer.estimate.scaling import Fleet, estimate_scaling
    from producer.start.run_request import GenerationRequest, RunOptions
    from producer.start.start_generation import plan_generation

    options = RunOptions(batch_size=batch_size, max_rate=max_rate, max_ru=max_ru)
    if flags["include"]:
        if what is not None or total is not None:
            raise UsageError(
                "a template is for a generation, and --include for a migration",
                "Give one of them",
            )
        request = migration_request(options, flags)
        _plan_migration(context, request, replace(measuring, workers=workers), within)
        return
    config = context.config()
    generation = GenerationRequest(what or "service_order", total, seed=1, options=options)
    plan = plan_generation(generation, config)
    found = estimate_scaling(plan, config, options, Fleet(workers, rate))
    if context.as_json:
        context.print_json(_as_json(found))
    else:
        _print(context.console, found)


def _plan_migration(
    context: CommandContext, request: MigrationRequest, measuring: Measuring, within: float
) -> None:
    from rich.filesize import decimal
    from rich.markup import escape

    from producer.cli.shared.dry_run import (
        assessment_as_json,
        print_following,
        spoken,
        time_line,
    )
    from producer.estimate.assess_migration import assess

    with context.connections() as connections:
        found = assess(connections, request, measuring)
    time = found.time
    fits = time.seconds <= within
    needed = time.workers_for(within)
    if context.as_json:
        row = {"fits": fits, "within_seconds": within, "workers_needed": needed}
        context.print_json({**assessment_as_json(found), **row})
        return
    console, estimate = context.console, found.estimate
    console.print(
        f"[bold]{estimate.documents:,}[/bold] documents, {decimal(estimate.bytes)}, "
        f"in {counted(len(estimate.namespaces), 'collection')}\n"
    )
    window = "the weekend" if within == _WEEKEND_SECONDS else spoken(within)
    verdict = f"fits {window}" if fits else f"does not fit {window}"
    console.print(f"[bold {'green' if fits else 'red'}]{verdict}[/]: {time_line(time)}")
    if not fits:
        advice = (
            "no number of workers is enough."
            if needed is None
            else f"{counted(needed, 'worker')} would be enough, if source and target keep up."
        )
        console.print(f"The time available is {spoken(within)}: {advice}")
    print_following(context, found)
    if not time.written:
        console.print("This does not include the target's speed. Measure that with: --write-sample")
    refused = [concern for concern in found.concerns if concern.refused]
    for concern in refused:
        console.print(
            f"[red]The run would be refused: {escape(concern.why)}[/]. {escape(concern.remedy)}"
        )
    if others := len(found.concerns) - len(refused):
        console.print(
            f"[yellow]{counted(others, 'thing')} will not arrive unchanged[/yellow]: "
            "to list them, give the same options to dataworks migrate --dry-run"
        )


def _as_json(found: ScalingEstimate) -> dict[str, object]:
    return {
        **asdict(found),
        "limits": {limit.name: round(limit.documents_per_second, 1) for limit in found.limits},
        "slowest": found.slowest.name,
        "documents_per_second": round(found.slowest.documents_per_second, 1),
        "seconds": round(found.seconds, 1),
        "advice": list(found.advice()),
    }


def _print(console: Console, found: ScalingEstimate) -> None:
    from rich.markup import escape

    number, noun = counted(found.documents, "document").split()
    console.print(f"[bold]{number}[/bold] {noun} of {escape(found.name)}\n")
    console.print(_sizes(found))
    console.print()
    console.print(_limits(found))
    console.print()
    if not found.writing_is_known:
        console.print(
            "This does not include the target's speed. Run a million documents with one process, "
            "then give its docs/s: --rate R"
        )
    for text in found.advice():
        console.print(f"[yellow]{escape(text)}[/yellow]")


def _sizes(found: ScalingEstimate) -> Table:
    from rich.filesize import decimal
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", style="bold", no_wrap=True)
    table.add_column()
    each = f"{found.document_bytes:,.0f} bytes each"
    spread = f"{found.smallest_document:,} to {found.largest_document:,}"
    table.add_row("data", decimal(round(found.total_bytes)), f"{each}, {spread}; without indexes")
    table.add_row(
        "messages",
        f"{found.messages:,}",
        f"one per range of {counted(found.batch_size, 'document')}",
    )
    table.add_row(
        "queue",
        decimal(found.waiting_bytes),
        f"at most {found.waiting:,} of them wait at once",
    )
    table.add_row("ledger", decimal(found.ledger_bytes), "at most, whatever the total")
    each_charge = found.request_units / found.documents
    table.add_row(
        "Cosmos DB",
        f"{_large(found.request_units)} RU",
        f"{each_charge:.1f} RU each without indexes; "
        f"at least {counted(found.partition_keys, 'shard key value')}",
    )
    if found.partitions:
        number, noun = counted(found.partitions, "partition").split()
        table.add_row("", number, f"{noun} of 10,000 RU/s, at least")
    return table


def _limits(found: ScalingEstimate) -> Table:
    from rich.table import Table

    from producer.view.durations import shown_duration

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("no faster than")
    table.add_column("docs/s", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for limit in found.limits:
        decides = limit is found.slowest
        table.add_row(
            limit.name,
            f"{limit.documents_per_second:,.0f}",
            shown_duration(found.documents / limit.documents_per_second),
            "<- bottleneck" if decides else "",
            style="bold green" if decides else "",
        )
    return table


def _large(number: float) -> str:
    """Format with three digits and a unit, like 5.5G."""
    for unit in ("", "k", "M", "G", "T"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:,.0f}P"
