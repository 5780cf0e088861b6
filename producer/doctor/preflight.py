"""The checks of ``dataworks doctor``: whether everything that a run needs is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.numerals import counted
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.unexpected import described
from producer.connections import Connections
from producer.doctor.change_history import change_history
from producer.doctor.check import Check
from producer.doctor.database_rights import READING, WRITING, databases_with, missing_rights
from producer.doctor.redis_checks import redis_checks
from producer.doctor.worker_checks import worker_checks
from producer.drive.message_queue import MessageQueue
from producer.local.known_redis import redis_is_set

_NOT_ASKED = "not checked, because their Redis cannot be used"
_NOT_SAID = "the server does not say; access control may be off"


def run_checks(connections: Connections, *, debug: bool = False) -> Iterator[Check]:
    """Yield every check, in the order in which a run needs things.

    ``debug``: raise unexpected errors; otherwise each is a failed check.
    """
    broker = "redis" if connections.config.ledger_url is None else "broker"
    out_of_reach = set()
    for name, checks in _checks(connections):
        if name == "workers" and broker in out_of_reach:
            # The cause would be the same, and for some addresses it would take a minute.
            yield Check(name, ok=False, found=_NOT_ASKED)
            continue
        try:
            yield from checks()
        except DataWorksError as error:
            out_of_reach.add(name)
            yield Check(name, ok=False, found=error.fact, remedy=error.remedy)
        except Exception as error:
            if debug:
                raise
            remedy = "The traceback, for a report: dataworks --debug doctor"
            yield Check(name, ok=False, found=f"an unexpected {described(error)}", remedy=remedy)


def _checks(connections: Connections) -> Iterator[tuple[str, Callable[[], Iterator[Check]]]]:
    with_redis = redis_is_set(connections.config)
    yield "redis", lambda: _redis(connections) if with_redis else _no_redis()
    if connections.config.ledger_url is not None:
        yield "broker", lambda: _broker(connections)
    for side in ("source", "target"):
        yield side, partial(_database, connections, side)
    if with_redis:
        yield "workers", lambda: _workers(connections)


def _workers(connections: Connections) -> Iterator[Check]:
    try:
        alive = connections.ledger.workers.alive()
    except DataWorksError:  # a check of its own reports it
        alive = []
    versions = {worker.name: worker.version for worker in alive}
    return worker_checks(connections.app, connections.config, versions)


def _no_redis() -> Iterator[Check]:
    found = "not set; generate and migrate start one for their run, with workers"
    yield Check("redis", ok=True, found=found)


def _redis(connections: Connections) -> Iterator[Check]:
    facts = connections.ledger.server_facts()
    yield Check("redis", ok=True, found=f"{facts.server} {facts.version}")
    yield from redis_checks(facts)


def _broker(connections: Connections) -> Iterator[Check]:
    """Check the broker, if it is not the ledger's Redis."""
    waiting = MessageQueue(connections.app).depth().waiting
    messages = counted(waiting, "message waits", "messages wait")
    found = f"{messages} in the queue {connections.config.queue}"
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
    if side == "source":
        yield change_history(client)


def _rights(client: BaseDatabaseClient, side: str) -> Check:
    name, config = f"{side} rights", client.config
    wanted, role = (READING, "read") if side == "source" else (WRITING, "readWrite")
    database, collection = config.database_name, config.collection_name
    if not database:
        return _rights_anywhere(client, name, wanted, role)
    where = f"{database}.{collection}" if collection else database
    missing = missing_rights(client, database, collection, wanted)
    if missing is None:
        return Check(name, ok=True, found=_NOT_SAID)
    if missing:
        lacks = ", ".join(sorted(missing))
        remedy = f"Give the user the role {role} on {database}"
        return Check(name, ok=False, found=f"on {where} the user may not {lacks}", remedy=remedy)
    return Check(name, ok=True, found=f"{role} on {where}")


def _rights_anywhere(
    client: BaseDatabaseClient, name: str, wanted: frozenset[str], role: str
) -> Check:
    """Check the rights on any database: if none is set, each run names its own."""
    found = databases_with(client, wanted)
    if found is None:
        return Check(name, ok=True, found=_NOT_SAID)
    if not found:
        remedy = f"Give the user the role {role} on the databases of your runs"
        return Check(name, ok=False, found=f"the user has {role} on no database", remedy=remedy)
    where = "every database" if "" in found else ", ".join(sorted(found))
    return Check(name, ok=True, found=f"{role} on {where}")
