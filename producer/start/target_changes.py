"""Whether others have changed a run's target since the run, by the target's history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bson.json_util import RELAXED_JSON_OPTIONS, dumps
from bson.timestamp import Timestamp
from pymongo.errors import OperationFailure, PyMongoError

from dataworks_tasks.migrate.read_indexes import read_indexes
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.cluster_time import time_in
from dataworks_tasks.store.driver_errors import classify

_MOST_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class TargetChanges:
    """Changes of a target. ``count`` stops at 1,000; ``last`` describes one, for people.

    ``count`` is None if the server's history does not show it.
    """

    count: int | None
    last: str = ""


def changes_since(
    client: BaseDatabaseClient, namespaces: Iterable[Namespace], position: Timestamp
) -> TargetChanges:
    """Return the changes of these collections after ``moment``."""
    return changes_from(client, namespaces, Timestamp(position.time, position.inc + 1))


def changes_from(
    client: BaseDatabaseClient, namespaces: Iterable[Namespace], begin: Timestamp
) -> TargetChanges:
    """Return the changes of these collections from a cluster time on.

    Deletions by a TTL index are left out: overwriting them loses nobody's work.
    """
    if not client.capabilities.majority_reads:
        return TargetChanges(None)
    by_database: dict[str, list[Namespace]] = {}
    for namespace in namespaces:
        by_database.setdefault(namespace.database, []).append(namespace)
    found = [_changes_of(client, database, names, begin) for database, names in by_database.items()]
    if any(changes.count is None for changes in found):
        return TargetChanges(None)
    last = next((changes.last for changes in found if changes.last), "")
    return TargetChanges(sum(changes.count or 0 for changes in found), last)


def _changes_of(
    client: BaseDatabaseClient, database: str, namespaces: list[Namespace], begin: Timestamp
) -> TargetChanges:
    expiring = [each.collection for each in namespaces if _expires(client, each)]
    pipeline: list[Mapping[str, Any]] = [
        {"$match": {"ns.coll": {"$in": [each.collection for each in namespaces]}}},
        {"$match": {"$nor": [{"operationType": "delete", "ns.coll": {"$in": expiring}}]}},
        {"$project": {"ns": 1, "operationType": 1, "documentKey._id": 1}},
    ]
    try:
        now = client.command("admin", {"hello": 1})["lastWrite"]["opTime"]["ts"]
        with client.database(database).watch(
            pipeline, start_at_operation_time=begin, max_await_time_ms=200
        ) as stream:
            return _counted(stream, now)
    except OperationFailure:
        # The history does not reach back that far, or the user may not read it.
        return TargetChanges(None)
    except PyMongoError as error:
        raise classify(error) from None


def _expires(client: BaseDatabaseClient, namespace: Namespace) -> bool:
    return any("expireAfterSeconds" in index for index in read_indexes(client, namespace))


def _counted(stream: Any, now: Timestamp) -> TargetChanges:
    count, last = 0, ""
    while count < _MOST_COUNTED:
        event = stream.try_next()
        if event is not None:
            count += 1
            last = _shown(event)
        elif time_in(stream.resume_token["_data"]) >= now:
            break
    return TargetChanges(count, last)


def _shown(event: dict[str, Any]) -> str:
    named = event.get("documentKey", {}).get("_id")
    where = f"{event['ns']['db']}.{event['ns'].get('coll', '*')}"
    id_ = dumps(named, json_options=RELAXED_JSON_OPTIONS) if named is not None else ""
    return f"{event['operationType']} of {id_} in {where}" if id_ else str(event["operationType"])
