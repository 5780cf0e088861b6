"""Compute fields from other collections and write them, after all documents are written.

A document's value depends only on what the collections hold, so doing this twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import decode_all

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import TOLERANT, Element
from dataworks_tasks.generate.aggregators.aggregation import Aggregation
from dataworks_tasks.generate.aggregators.aggregation_results import key_of_values, results_of
from dataworks_tasks.generate.aggregators.aggregation_write import (
    RefusedUpdate,
    Update,
    Updates,
    UpdateTarget,
    write_updates,
)
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.lease import FinishLease, UnlimitedLease
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.scan.key_space import ID, key_of
from dataworks_tasks.scan.read_slice import SliceSource, read_slice
from dataworks_tasks.scan.slice import EACH_TYPE_APART, Slice
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.write_budget import RateLimiter

DOCUMENTS_PER_UPDATE = 5_000
"""Each batch queries the other collection once, so a larger one reads it less often."""

_MISSING = object()


@dataclass(frozen=True, slots=True)
class AggregationAttempt:
    """How to compute: how to write, after which ``_id`` to begin, and where to note progress.

    ``note`` is called with the ``_id`` up to which every document has its value, ``refuse`` with
    the updates that the server refuses.
    """

    write_concern: str = "majority"
    rate_limiter: RateLimiter | None = None
    after: Element | None = None
    note: Callable[[Element], None] = lambda _key: None
    lease: FinishLease = field(default_factory=UnlimitedLease)
    refuse: Callable[[Sequence[RefusedUpdate]], None] = lambda _refused: None


_WHOLE = AggregationAttempt()


def aggregate(
    client: BaseDatabaseClient, aggregation: Aggregation, attempt: AggregationAttempt = _WHOLE
) -> bool:
    """Compute the field for every document of the collection and write it, in batches.

    False when the lease was over before the end. Raises the errors of ``driver_errors.classify``;
    continue after the noted ``_id`` when a transient one is over.
    """
    done = 0
    what = f"computing {aggregation.target} of {aggregation.namespace}"
    attempt.lease.show(lambda: f"{what}: {counted(done, 'document')}")
    shard_key = client.shard_key(aggregation.namespace)
    target = UpdateTarget(
        client, aggregation.namespace, attempt.write_concern, attempt.rate_limiter
    )
    for batch in _batches(client, aggregation.namespace, attempt.after):
        documents = decode_all(batch.data, TOLERANT)
        if updates := _updates(client, aggregation, documents, shard_key):
            refused = write_updates(target, Updates(updates, batch.size_bytes))
            if refused:
                attempt.refuse(refused)
        done += len(documents)
        attempt.note(key_of(batch.document(len(batch) - 1), ID))
        if attempt.lease.reached and _goes_on_by_key(client):
            return False
    return True


def _goes_on_by_key(client: BaseDatabaseClient) -> bool:
    """Return False for Cosmos DB RU, whose order of types differs: there all are done at once."""
    return client.capabilities.sample


def _batches(
    client: BaseDatabaseClient, namespace: Namespace, after: Element | None
) -> Iterator[EncodedBatch]:
    source = SliceSource(client, namespace, batch_size=DOCUMENTS_PER_UPDATE)
    if not _goes_on_by_key(client):
        for slice_ in EACH_TYPE_APART:
            yield from read_slice(source, slice_)
        return
    yield from read_slice(source, Slice(0), after)


def _updates(
    client: BaseDatabaseClient,
    aggregation: Aggregation,
    batch: Sequence[Mapping[str, Any]],
    shard_key: str | None,
) -> list[Update]:
    wanted = []
    for document in batch:
        values = tuple(_value_at(document, name) for name in aggregation.variables)
        if _MISSING not in values:
            wanted.append((document, key_of_values(values), values))
    results = results_of(client, aggregation, {key: values for _, key, values in wanted})
    updates = []
    for document, key, _ in wanted:
        query = {"_id": document["_id"]}
        if shard_key and (value := _value_at(document, shard_key)) is not _MISSING:
            query[shard_key] = value
        updates.append(Update(query, {"$set": {aggregation.target: results[key]}}))
    return updates


def _value_at(document: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path, not through arrays; ``_MISSING`` without one."""
    value: Any = document
    for name in path.split("."):
        value = value.get(name, _MISSING) if isinstance(value, Mapping) else _MISSING
    return value
