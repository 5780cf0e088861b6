"""What a server reports about a collection: its type, its identity and its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson.binary import UUID_SUBTYPE, Binary

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.runs.namespace import BUCKETS, Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.retrying import retry_transient

_FEW_TRIES = Backoff(tries=3)


@dataclass(frozen=True, slots=True)
class CollectionFacts:
    """A collection as ``listCollections`` describes it.

    ``uuid`` names the collection itself, whatever it is called and however its server is reached.
    It is None for a view, and on Cosmos DB with request units, which has no UUIDs.
    """

    type: str
    uuid: str | None
    options: Mapping[str, Any]

    @property
    def is_view(self) -> bool:
        """Whether it has no documents of its own."""
        return self.type == "view"


def read_collection(client: BaseDatabaseClient, namespace: Namespace) -> CollectionFacts | None:
    """Return the collection's facts; None if it does not exist."""
    found = _listed(client, namespace.database, {"name": namespace.collection})
    if found is None:
        return None
    uuid = _uuid(found)
    if uuid is None and found.get("type") == "timeseries":
        buckets = _listed(client, namespace.database, {"name": BUCKETS + namespace.collection})
        uuid = _uuid(buckets) if buckets else None
    return CollectionFacts(found.get("type", "collection"), uuid, found.get("options", {}))


def name_of_collection(client: BaseDatabaseClient, database: str, uuid: str) -> str | None:
    """Return the current name of the collection with this UUID; None if it is gone."""
    found = _listed(client, database, {"info.uuid": Binary(bytes.fromhex(uuid), UUID_SUBTYPE)})
    return None if found is None else str(found["name"])


def _listed(
    client: BaseDatabaseClient, database: str, query: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    command = {"listCollections": 1, "filter": query}
    reply = retry_transient(lambda: client.command(database, command), _FEW_TRIES)
    found = reply["cursor"]["firstBatch"]
    return found[0] if found else None


def _uuid(found: Mapping[str, Any]) -> str | None:
    value = found.get("info", {}).get("uuid")
    return bytes(value).hex() if value is not None else None
