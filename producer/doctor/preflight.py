"""Is everything there that a run needs? What ``dataworks doctor`` asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from producer.connections import Connections
from producer.doctor.check import Check
from producer.doctor.database_rights import READING, WRITING, missing_rights
from producer.doctor.worker_checks import worker_checks
from producer.drive.message_queue import MessageQueue
from producer.start.start_generation import DEFAULT_DATABASE


def run_checks(connections: Connections) -> Iterator[Check]:
    """Every check, in the order in which a run would need the things."""
    yield from _guarded("redis", lambda: _redis(connections))
    if connections.config.ledger_url is not None:
        yield from _guarded("broker", lambda: _broker(connections))
    for side in ("source", "target"):
        yield from _guarded(side, lambda side=side: _database(connections, side))  # type: ignore[misc]
    yield from _guarded("workers", lambda: worker_checks(connections.app, connections.config))


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


def _broker(connections: Connections) -> Iterator[Check]:
    """Where it is another Redis than the ledger's."""
    waiting = MessageQueue(connections.app).depth().waiting
    found = f"{waiting:,} messages wait in the queue {connections.config.queue}"
    yield Check("broker", ok=True, found=found)


def _database(connections: Connections, side: str) -> Iterator[Check]:
    config: DatabaseConfig | None = getattr(connections.config, side)
    if config is None and side == "source":
        yield Check(side, ok=True, found="not set; only migrations need one")
        return
    client: BaseDatabaseClient = getattr(connections, side)
    info = client.server_info()
    found = f"{client.config.fingerprint}: {type(client).__name__}, server {info.version}"
    yield Check(side, ok=True, found=found)
    yield _rights(client, side)


def _rights(client: BaseDatabaseClient, side: str) -> Check:
    name, config = f"{side} rights", client.config
    database = config.database_name or DEFAULT_DATABASE
    collection = config.collection_name
    where = f"{database}.{collection}" if collection else database
    wanted, role = (READING, "read") if side == "source" else (WRITING, "readWrite")
    missing = missing_rights(client, database, collection, wanted)
    if missing is None:
        return Check(name, ok=True, found="the server does not say; access control may be off")
    if missing:
        lacks = ", ".join(sorted(missing))
        remedy = f"Give the user the role {role} on {database}"
        return Check(name, ok=False, found=f"on {where} the user may not {lacks}", remedy=remedy)
    return Check(name, ok=True, found=f"{role} on {where}")
