"""``dataworks local``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.numerals import counted
from producer.cli.shared.options import RATE, CommandContext, Count, with_context
from producer.state_folder import STATE_FOLDER

if TYPE_CHECKING:
    from rich.console import Console

    from producer.local.environment import SettingsInForce
    from producer.local.service_definition import ServiceDefinition
    from producer.local.services import LocalServices


@click.command("local")
@click.option(
    "--workers",
    type=Count(1, 64),
    metavar="N",
    help="Worker processes; otherwise FRAMEWORK_GENERATION_WORKERS, or one per core.",
)
@click.option(
    "--flower/--no-flower",
    default=True,
    show_default=True,
    help="Start Flower, Celery's web page, on loopback.",
)
@click.option(
    "--web/--no-web", default=True, show_default=True, help="Start the web pages for runs."
)
@click.option(
    "--cosmos",
    type=RATE,
    metavar="RU",
    help="Use a simulated Cosmos DB account with RU request units a second as the target.",
)
@with_context
def command(
    context: CommandContext,
    workers: int | None,
    flower: bool,
    web: bool,
    cosmos: int | None,
) -> None:
    """Run Redis, MongoDB, workers and pages here until Ctrl-C; data stays in .dataworks/.

    Other dataworks commands in this folder connect to them automatically.
    """
    from producer.local.binaries import MONGOD, VALKEY, find_binary
    from producer.local.celery_services import CeleryWorker, Flower
    from producer.local.cosmos_service import CosmosService
    from producer.local.environment import LocalAddresses, SettingsInForce
    from producer.local.mongod import Mongod
    from producer.local.services import LocalServices
    from producer.local.valkey import Valkey
    from producer.local.web_service import WebPages

    console = context.console
    with LocalServices(STATE_FOLDER) as services:
        with console.status("starting Redis and MongoDB"):
            # A standalone server has no change stream that a migration could follow.
            mongod = Mongod(find_binary(MONGOD), replica_set=True)
            services.start(mongod, Valkey(find_binary(VALKEY)))
        account = None
        if cosmos:
            account = CosmosService(services.mongodb_url, cosmos, change_streams=True)
        if account is not None:
            services.start(account)
        addresses = LocalAddresses(
            services.redis_url,
            services.mongodb_url,
            services.urls()[account.name] if account else None,
        )
        config = context.config()
        count = workers or config.worker_processes
        in_force = SettingsInForce.of(addresses, config, context.profile)
        with console.status("starting the workers"):
            pages: list[ServiceDefinition] = [
                *([Flower(in_force.environment)] if flower else []),
                *([WebPages(in_force.environment)] if web else []),
            ]
            services.start(CeleryWorker(in_force.environment, concurrency=count), *pages)
        if context.as_json:
            context.print_json({"settings": in_force.elsewhere, "urls": services.urls()})
        _explain(console, in_force, services.urls(), count)
        _wait(services, console)


def _explain(
    console: Console, in_force: SettingsInForce, urls: dict[str, str], workers: int
) -> None:
    processes = counted(workers, "worker process", "worker processes")
    console.print(f"[green]Running[/green] with {processes}. Ctrl-C stops everything.")
    if "web" in urls:
        console.print(f"Runs: {urls['web']}")
    if "flower" in urls:
        console.print(f"Flower: {urls['flower']}")
    console.print("\nIn this folder, in another terminal:")
    console.print("  dataworks generate service_order --total 1M")
    if in_force.lines:
        console.print("\nElsewhere, after these lines in a shell, or with them in .env_local:")
    for line in in_force.lines:
        console.print(line, soft_wrap=True, markup=False)
    if in_force.set_here:
        # Their values may hold passwords, so they are not printed.
        console.print("\nThese settings must be the same elsewhere as in this folder:")
        console.print("\n".join(in_force.set_here), markup=False)


def _wait(services: LocalServices, console: Console) -> None:
    """Wait for Ctrl-C; restart services that end."""
    from producer.local.keep_running import Restarts

    restarts = Restarts(services, lambda line: console.print(line, style="yellow"))
    try:
        while True:
            restarts.wait()
    except KeyboardInterrupt:
        console.print("\nStopping. The data stays in .dataworks/")
    except StoreUnavailable:
        console.print("[red]The local services stopped.[/red]")
        raise
