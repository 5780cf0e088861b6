"""``dataworks metrics``."""

from __future__ import annotations

import signal
from threading import Event

import click

from dataworks_tasks.errors import UsageError
from producer.cli.shared.options import CommandContext, Count, with_connections


@click.command("metrics")
@click.option(
    "--port",
    type=Count(0, 65535),
    default=9464,
    show_default=True,
    metavar="P",
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    metavar="A",
    help="Address to listen on; 0.0.0.0 for every network.",
)
@with_connections
def command(context: CommandContext, port: int, address: str) -> None:
    """Serve the fleet's metrics for Prometheus and watch the alert limits, until Ctrl-C.

    It reads the ledger only. Alerts go to the log and to FRAMEWORK_ALERT_WEBHOOK_URL.
    """
    from prometheus_client import start_http_server
    from prometheus_client.registry import CollectorRegistry

    from dataworks_tasks.logs import set_up_logging
    from dataworks_tasks.monitor.metrics import MetricsCollector
    from dataworks_tasks.monitor.openmetrics import LedgerCollector
    from producer.drive.message_queue import MessageQueue

    stopped = Event()
    set_up_logging(context.config())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with context.connections() as connections, MetricsCollector(connections.config) as collector:
        registry = CollectorRegistry(auto_describe=False)
        queue = MessageQueue(connections.app)
        registry.register(
            LedgerCollector(
                connections.watched_ledger, lambda: collector.active_alerts, queue.depth
            )
        )
        try:
            server, thread = start_http_server(port, address, registry)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {address} port {port}: {error.strerror}",
                "Use another port: --port 0",
            ) from None
        url = f"http://{address}:{server.server_port}/metrics"
        if context.as_json:
            context.print_json({"url": url})
        else:
            context.console.print(f"Metrics: {url}", soft_wrap=True)
        stopped.wait()
        server.shutdown()
        server.server_close()
        thread.join()
