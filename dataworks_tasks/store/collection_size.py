"""The size of a collection by its server's own records."""

from __future__ import annotations

from dataclasses import dataclass

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.errors import TerminalError
from dataworks_tasks.runs.namespace import Namespace, series_of_buckets
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.retrying import retry_transient

_FEW_TRIES = Backoff(tries=3)


@dataclass(frozen=True, slots=True)
class CollectionSize:
    """Documents and indexes of a collection, and the bytes of its documents before compression.

    Bytes and indexes are None if the server does not keep them, or the user may not read them.
    """

    documents: int
    bytes: int | None = None
    indexes: int | None = None


def measure_collection(client: BaseDatabaseClient, namespace: Namespace) -> CollectionSize:
    """Ask the server for the size of the collection, which it answers at once.

    The measurements of a time series are counted: its server keeps only the number of buckets.
    Raises TransientError when the server does not answer.
    """
    documents = client.estimated_count(namespace)
    if not client.capabilities.collection_stats:
        return CollectionSize(documents)
    command = {"collStats": namespace.collection}
    try:
        reply = retry_transient(lambda: client.command(namespace.database, command), _FEW_TRIES)
    except TerminalError:
        return CollectionSize(documents)
    if "timeseries" in reply:
        documents = client.count_without_timeout(series_of_buckets(namespace), {})
    return CollectionSize(documents, int(reply.get("size", 0)), int(reply.get("nindexes", 0)))
