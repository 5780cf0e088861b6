"""What Cosmos DB knows about a collection and mongod does not: shard key and throughput."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LOWEST_THROUGHPUT = 400
LARGEST_THROUGHPUT_WITHOUT_SHARD_KEY = 10_000


@dataclass(frozen=True, slots=True)
class ProvisionedThroughput:
    """RU/s of a collection or database: a fixed number, or the most it may scale to."""

    provisioned: int
    autoscale_maximum: int | None = None

    @classmethod
    def requested(cls, body: Mapping[str, Any]) -> ProvisionedThroughput | None:
        """Return the throughput that a customAction asks for; None if it names none."""
        if "autoScaleSettings" in body:
            maximum = int(body["autoScaleSettings"]["maxThroughput"])
            return cls(maximum // 10, maximum)
        if "offerThroughput" in body:
            return cls(int(body["offerThroughput"]))
        return None

    @property
    def most(self) -> int:
        """The RU/s it can reach."""
        return self.autoscale_maximum or self.provisioned

    def document(self) -> dict[str, Any]:
        """Return the fields of a GetCollection or GetDatabase answer."""
        fields: dict[str, Any] = {"provisionedThroughput": self.provisioned}
        if self.autoscale_maximum is not None:
            fields["autoScaleSettings"] = {"maxThroughput": self.autoscale_maximum}
        return fields


@dataclass(frozen=True, slots=True)
class CollectionSettings:
    """``shard_key`` is a dotted path or None; ``throughput`` None: shared with the database."""

    shard_key: str | None = None
    throughput: ProvisionedThroughput | None = None


class Catalog:
    """Settings by namespace (``database.collection``) and throughput by database.

    Kept in memory: a restarted simulator has forgotten them, as the documents are mongod's.
    """

    def __init__(self, *, partitioned_ids: bool = False) -> None:
        self._partitioned_ids = partitioned_ids
        self._collections: dict[str, CollectionSettings] = {}
        self._databases: dict[str, ProvisionedThroughput] = {}

    def collection(self, namespace: str) -> CollectionSettings | None:
        """Return the settings of a collection; None if it was created by a write."""
        return self._collections.get(namespace)

    def shard_key(self, namespace: str) -> str | None:
        """Return the collection's shard key path; None if it is not sharded."""
        settings = self._collections.get(namespace)
        return settings.shard_key if settings else None

    def partitioning_key(self, namespace: str) -> str | None:
        """Return the shard key of a collection whose documents may share an ``_id``."""
        shard_key = self.shard_key(namespace) if self._partitioned_ids else None
        return None if shard_key == "_id" else shard_key

    def partitioned_collections(self, database: str) -> list[str]:
        """Return the namespaces in a database whose documents may share an ``_id``."""
        return [
            namespace
            for namespace in self._collections
            if namespace.startswith(f"{database}.") and self.partitioning_key(namespace)
        ]

    def set_collection(self, namespace: str, settings: CollectionSettings) -> None:
        """Remember a collection's settings."""
        self._collections[namespace] = settings

    def database(self, name: str) -> ProvisionedThroughput | None:
        """Return the database's own throughput."""
        return self._databases.get(name)

    def set_database(self, name: str, throughput: ProvisionedThroughput) -> None:
        """Remember a database's throughput."""
        self._databases[name] = throughput

    def forget_collection(self, namespace: str) -> None:
        """Forget a dropped collection."""
        self._collections.pop(namespace, None)

    def forget_database(self, name: str) -> None:
        """Forget a dropped database and its collections."""
        self._databases.pop(name, None)
        for namespace in [key for key in self._collections if key.startswith(f"{name}.")]:
            del self._collections[namespace]
