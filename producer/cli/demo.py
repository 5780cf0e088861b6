"""``dataworks demo``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from signal import SIGKILL
from typing import TYPE_CHECKING

import click

from dataworks_tasks.errors import RunFailed
from producer.cli.shared.options import COUNT, CommandContext, with_context

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dataworks_tasks.runs.spec import RunSpec
    from producer.connections import Connections
    from producer.view.run_summary import RunSummary

_WORKERS = 2
_SOURCE = "shop.service_orders"
_TARGET = "archive.service_orders"


@dataclass(frozen=True, slots=True)
class _Step:
    """A run of the demo and, if it was verified, whether the comparison found it equal."""

    title: str
    run: RunSummary
    check: RunSummary


@click.command("demo")
@click.option(
    "--total", type=COUNT, default=200_000, show_default=True, metavar="N", help="Documents."
)
@with_context
def command(context: CommandContext, total: int) -> None:
    """Generate, migrate and verify documents on embedded services; nothing remains afterwards."""
    from dataworks_tasks.settings import ConfigManager
    from producer.connections import Connections
    from producer.local.celery_services import CeleryWorker
    from producer.local.environment import LocalAddresses
    from producer.local.services import LocalServices
    from producer.view.run_summary import exit_code

    console = context.console
    context.config()  # a wrong setting is named before anything starts
    with LocalServices.in_temporary_folder() as services:
        with console.status("starting Redis, MongoDB and two workers"):
            services.start_stores()
            addresses = LocalAddresses(services.redis_url, services.mongodb_url)
            workers = [
                CeleryWorker(addresses.environment, f"worker-{number}", stop_signal=SIGKILL)
                for number in range(1, _WORKERS + 1)
            ]
            services.start(*workers)
        config = ConfigManager().load_config(profile=context.profile, overrides=addresses.settings)
        with Connections(config) as connections:
            steps = _run(connections, console, total)
    if context.as_json:
        for step in steps:
            context.print_json({**step.run.as_json(), "equal": exit_code(step.check) == 0})
    console.print()
    console.print(_table(steps))
    sys.exit(max(exit_code(run) for step in steps for run in (step.run, step.check)))


def _run(connections: Connections, console: Console, total: int) -> list[_Step]:
    from producer.start.run_request import GenerationRequest, MigrationRequest
    from producer.start.start_generation import start_generation
    from producer.start.start_migration import start_migration
    from producer.start.start_verification import start_verification

    database, collection = _SOURCE.split(".")
    request = GenerationRequest("service_order", total, database, collection, seed=1)
    generated = _finish(
        connections, console, start_generation(request, connections.config, connections)
    )
    copy = MigrationRequest(include=(_SOURCE,), to=_TARGET)
    migrated = _finish(connections, console, start_migration(copy, connections.config, connections))
    steps = []
    for title, run in (("generated", generated), ("migrated", migrated)):
        check = _finish(connections, console, start_verification(run.run_id, connections))
        steps.append(_Step(title, run, check))
    return steps


def _finish(connections: Connections, console: Console, spec: RunSpec) -> RunSummary:
    from dataworks_tasks.ledger.contract import FINISHED

    connections.finish_imports()
    from producer.drive.attach import attach
    from producer.view.progress import create_view
    from producer.view.run_summary import summarize

    progress = attach(
        connections, spec, lambda: create_view(spec, console, connections.watched_ledger)
    )
    if progress is None:
        raise RunFailed(f"run {spec.run_id} could not be followed: Redis does not answer")
    run = summarize(spec, progress)
    if run.state not in FINISHED:
        if run.last_error is None:
            raise KeyboardInterrupt
        raise RunFailed(f"run {spec.run_id} is {run.state}: {run.last_error}")
    return run


def _table(steps: list[_Step]) -> Table:
    from rich.filesize import decimal
    from rich.table import Table

    from producer.view.durations import shown_duration
    from producer.view.run_summary import exit_code

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in ("documents", "time", "docs/s", "worker memory", "gaps", "verification"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in steps:
        equal = exit_code(step.check) == 0
        verdict = "[green]equal[/green]" if equal else f"[red]{step.check.failures} differ[/red]"
        table.add_row(
            f"[bold]{step.title}[/bold]",
            f"{step.run.documents:,}",
            shown_duration(step.run.seconds),
            f"{step.run.rate:,.0f}",
            decimal(step.run.peak_worker_bytes),
            f"{step.run.gaps:,}",
            verdict,
        )
    return table
