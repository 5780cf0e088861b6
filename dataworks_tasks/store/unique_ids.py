"""Whether a collection keeps ``_id`` unique, so that a repeated range changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataworks_tasks.runs.namespace import BUCKETS, Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection
from dataworks_tasks.store.metadata import list_indexes


def why_ids_repeat(client: BaseDatabaseClient, namespace: Namespace) -> str | None:
    """Return why a document that is inserted twice would exist twice, as the end of a sentence.

    None if the server refuses the second one, because of ``_id`` alone, or of ``_id`` and shard
    key, which are the same each time. A missing collection will be created with an index on
    ``_id``.
    """
    if not client.capabilities.collection_stats or namespace.collection.startswith(BUCKETS):
        return None  # Cosmos DB has only such collections; buckets are clustered by their _id
    found = read_collection(client, namespace)
    if found is None:
        return None
    if found.type == "timeseries":
        return "is a time series, which does not keep an _id unique"
    if found.is_view or _is_unique(found.options):
        return None
    if any(dict(index.get("key", {})) == {"_id": 1} for index in list_indexes(client, namespace)):
        return None
    return "has no unique index on _id"


def _is_unique(options: Mapping[str, Any]) -> bool:
    return "clusteredIndex" in options
