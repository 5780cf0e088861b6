"""How many write commands a server has counted for a collection, to see whether any came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataworks_tasks.errors import TerminalError
from dataworks_tasks.runs.namespace import Namespace, series_of_buckets
from dataworks_tasks.store.client import BaseDatabaseClient

_STAGE: Mapping[str, Any] = {"$collStats": {"latencyStats": {}}}


def count_write_commands(client: BaseDatabaseClient, namespace: Namespace) -> int | None:
    """Return the primary's count since it started; None if the server does not count them.

    Commands are counted when they end, whether or not they changed anything. ``$merge`` of an
    aggregation and ``applyOps`` are not counted, so an equal count proves nothing.
    """
    if not client.capabilities.collection_stats:
        return None
    # Through ``command``, the primary answers, whatever the connection string says.
    named = series_of_buckets(namespace)  # writes to a time series are counted by its own name
    ask = {"aggregate": named.collection, "pipeline": [_STAGE], "cursor": {}}
    try:
        found = client.command(namespace.database, ask)["cursor"]["firstBatch"]
    except TerminalError:
        return None
    if len(found) != 1 or "shard" in found[0]:
        return None  # a sharded cluster: its shards restart one by one
    return int(found[0]["latencyStats"]["writes"]["ops"])
