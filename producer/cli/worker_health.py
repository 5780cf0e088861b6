"""``dataworks worker-health``.

It reads no settings and imports no driver: a probe that runs every few seconds has to be cheap.
"""

from __future__ import annotations

import json
import sys

import click

from dataworks_tasks.errors import TransientError
from dataworks_tasks.worker.liveness import (
    STALE_SECONDS,
    LocalWorker,
    liveness_folder,
    living_workers,
)
from producer.cli.shared.number import Number
from producer.view.schema_version import SCHEMA_VERSION


@click.command("worker-health")
@click.option(
    "--worker", metavar="NAME", help="Check only the worker called NAME, like celery@host."
)
@click.option(
    "--stale-seconds",
    type=Number(1),
    default=STALE_SECONDS,
    show_default=True,
    metavar="S",
    help="Seconds of silence after which a worker counts as hanging; at least 1.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(worker: str | None, stale_seconds: float, as_json: bool) -> None:
    """Check that the workers of this machine or container are alive; for health checks.

    The exit code is 1 if no worker is running, or if one hangs or has lost its broker. Workers that
    another command started, such as dataworks local, are not listed: that command replaces them.
    """
    found = [one for one in living_workers(liveness_folder()) if worker in (None, one.name)]
    for one in found:
        healthy = one.is_healthy(stale_seconds)
        click.echo(_as_json(one, healthy) if as_json else _as_text(one, healthy))
    if not found:
        worker_named = f"worker {worker}" if worker else "worker"
        raise TransientError(f"no {worker_named} is running here", "Start one: dataworks worker")
    sys.exit(0 if all(one.is_healthy(stale_seconds) for one in found) else 1)


def _as_text(worker: LocalWorker, healthy: bool) -> str:
    verdict = "OK" if healthy else "hangs, or has lost its broker"
    return f"{worker.name} (pid {worker.pid}): {verdict}, seen {worker.age_seconds:.0f} s ago"


def _as_json(worker: LocalWorker, healthy: bool) -> str:
    return json.dumps(
        {
            "version": SCHEMA_VERSION,
            "worker": worker.name,
            "pid": worker.pid,
            "healthy": healthy,
            "age_seconds": round(worker.age_seconds, 1),
        }
    )
