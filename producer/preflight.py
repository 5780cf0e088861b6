"""Is everything there that a run needs? What ``dataworks doctor`` asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from dataworks_tasks.errors import DataWorksError
from producer.connections import Connections

_WORKER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, whether it is good, what was found, and what to do if it is not."""

    name: str
    ok: bool
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return asdict(self)


def run_checks(connections: Connections) -> Iterator[Check]:
    """Every check, in the order in which a run would need the things."""
    yield from _guarded("redis", lambda: _redis(connections))
    for side in ("source", "target"):
        yield from _guarded(side, lambda side=side: _database(connections, side))  # type: ignore[misc]
    yield from _guarded("workers", lambda: _workers(connections))


def _guarded(name: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from checks()
    except DataWorksError as error:
        yield Check(name, ok=False, found=error.fact, remedy=error.remedy)


def _redis(connections: Connections) -> Iterator[Check]:
    info = connections.ledger.server_facts()
    name = f"{info.server} {info.version}"
    yield Check("redis", ok=True, found=name)
    yield Check(
        "redis persistence",
        ok=info.append_only,
        found="append-only file on" if info.append_only else "append-only file off",
        remedy="" if info.append_only else "A restart would lose the runs: set appendonly yes",
    )
    kept = info.eviction == "noeviction"
    yield Check(
        "redis memory",
        ok=kept,
        found=f"maxmemory-policy {info.eviction}",
        remedy="" if kept else "Redis may drop the ledger: set maxmemory-policy noeviction",
    )


def _database(connections: Connections, side: str) -> Iterator[Check]:
    config = getattr(connections.config, side)
    if config is None and side == "source":
        yield Check(side, ok=True, found="not set; only migrations need one")
        return
    client = getattr(connections, side)
    info = client.server_info()
    found = f"{config.fingerprint}: {type(client).__name__}, server {info.version}"
    yield Check(side, ok=True, found=found)


def _workers(connections: Connections) -> Iterator[Check]:
    answers = connections.app.control.inspect(timeout=_WORKER_SECONDS).stats() or {}
    if not answers:
        yield Check(
            "workers", ok=False, found="none answers", remedy="celery -A dataworks_tasks worker"
        )
    for worker, stats in sorted(answers.items()):
        processes = stats.get("pool", {}).get("max-concurrency", "?")
        yield Check("worker", ok=True, found=f"{worker}, {processes} processes")
