"""What a run's indexes will hold, estimated from a few documents, for the time left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.index_entries import entries_per_document
from dataworks_tasks.migrate.read_indexes import in_order_of_building, read_indexes
from dataworks_tasks.runs.choices import IndexPolicy
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationPart, IndexEntries, MigrationJob, NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.retrying import retry_transient

_SAMPLED = 20


def with_generated_indexes(
    part: GenerationPart, indexes: Sequence[Mapping[str, Any]], documents: Sequence[bytes]
) -> GenerationPart:
    """Return the part with what its indexes will hold, estimated from a few documents."""
    if not indexes:
        return part
    return part.model_copy(update={"indexes": _index_entries(indexes, documents)})


def with_copied_indexes(source: BaseDatabaseClient, job: MigrationJob) -> tuple[NamespacePair, ...]:
    """Return the collections with the indexes that each gets after the copy."""
    if job.indexes is not IndexPolicy.AFTER:
        return job.namespaces
    return tuple(_with_copied(source, pair) for pair in job.namespaces)


def _with_copied(source: BaseDatabaseClient, pair: NamespacePair) -> NamespacePair:
    indexes = in_order_of_building(read_indexes(source, pair.source))
    if not indexes:
        return pair
    entries = _index_entries(indexes, _first_documents(source, pair.source))
    return pair.model_copy(update={"indexes": len(indexes), "index_entries": entries})


def _first_documents(source: BaseDatabaseClient, namespace: Namespace) -> list[bytes]:
    def once() -> list[bytes]:
        pages = source.find_raw(namespace, {}, limit=_SAMPLED, batch_size=_SAMPLED)
        return [document for page in pages for document in EncodedBatch.parse(page).documents()]

    return retry_transient(once)


def _index_entries(
    indexes: Sequence[Mapping[str, Any]], documents: Sequence[bytes]
) -> tuple[IndexEntries, ...]:
    found = []
    for index in indexes:
        counted = entries_per_document(index, documents)
        found.append(
            IndexEntries(
                name=str(index["name"]),
                entries=round(counted.entries, 2),
                fields=max(1, len(index["key"])),
                key_bytes=round(counted.key_bytes, 1),
            )
        )
    return tuple(found)
