"""What a migration would do, from a few queries and without a write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import find_element
from dataworks_tasks.errors import TerminalError, TransientError
from dataworks_tasks.migrate.read_indexes import read_indexes
from dataworks_tasks.migrate.route import document_change, parsed_filter
from dataworks_tasks.runs.choices import IndexPolicy
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.verify.comparison import id_bytes

_READ_SECONDS = 0.5
_READ_DOCUMENTS = 20_000
_COMPARED_DOCUMENTS = 500


@dataclass(frozen=True, slots=True)
class NamespaceEstimate:
    """One collection. ``conflicts``: documents whose ``_id`` the target holds with other bytes."""

    pair: NamespacePair
    documents: int
    bytes: int
    slices: int
    indexes: tuple[str, ...]
    target_documents: int
    conflicts: int
    read_per_second: float


@dataclass(frozen=True, slots=True)
class MigrationEstimate:
    """All collections. Conflicts are extrapolated from a sample, seconds from the read rate."""

    namespaces: tuple[NamespaceEstimate, ...]

    @property
    def documents(self) -> int:
        """Documents of the source, by its metadata."""
        return sum(item.documents for item in self.namespaces)

    @property
    def bytes(self) -> int:
        """Bytes of BSON."""
        return sum(item.bytes for item in self.namespaces)

    @property
    def slices(self) -> int:
        """The number of slices, and so of messages at most."""
        return sum(item.slices for item in self.namespaces)

    @property
    def seconds(self) -> float:
        """How long one reader would take at the measured rate; writing may be slower."""
        return sum(
            item.documents / item.read_per_second
            for item in self.namespaces
            if item.read_per_second
        )


def estimate_migration(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    job: MigrationJob,
    batch_size: int,
) -> MigrationEstimate:
    """Estimate a migration for ``--dry-run``. Reads up to 20,000 documents a collection."""
    return MigrationEstimate(
        tuple(_estimate(source, target, job, pair, batch_size) for pair in job.namespaces)
    )


def _estimate(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    job: MigrationJob,
    pair: NamespacePair,
    batch_size: int,
) -> NamespaceEstimate:
    documents = source.estimated_count(pair.source)
    read, seconds = _read_some(source, pair.source, job)
    present = target.estimated_count(pair.target)
    indexes = () if job.indexes is IndexPolicy.NONE else read_indexes(source, pair.source)
    average = read.size_bytes / len(read) if len(read) else 0
    return NamespaceEstimate(
        pair=pair,
        documents=documents,
        bytes=_stored_bytes(source, pair.source) or round(average * documents),
        slices=max(1, -(-documents // batch_size)),
        indexes=tuple(str(index["name"]) for index in indexes),
        target_documents=present,
        conflicts=_conflicts(target, pair.target, job, read, documents) if present else 0,
        read_per_second=len(read) / seconds if seconds else 0.0,
    )


def _read_some(
    source: BaseDatabaseClient, namespace: Namespace, job: MigrationJob
) -> tuple[EncodedBatch, float]:
    """Read some documents, spread over the collection if possible, and time it in seconds."""
    begin = time.monotonic()
    batches: list[EncodedBatch] = []
    filter_ = parsed_filter(job)
    query: Any = {} if filter_ is None else RawBSONDocument(filter_)
    try:
        for data in source.find_raw(namespace, query, limit=_READ_DOCUMENTS, batch_size=2000):
            batches.append(EncodedBatch.parse(data))
            if time.monotonic() - begin > _READ_SECONDS:
                break
    except TransientError:  # a cut cursor: what was read by then is a sample too
        if not batches:
            raise
    return EncodedBatch.join(batches or [EncodedBatch.of([])]), time.monotonic() - begin


def _stored_bytes(source: BaseDatabaseClient, namespace: Namespace) -> int:
    if not source.capabilities.collection_stats:
        return 0
    try:
        reply = source.command(namespace.database, {"collStats": namespace.collection})
    except TerminalError:  # the user may lack the right to it; the sample's average serves too
        return 0
    return int(reply.get("size", 0))


def _conflicts(
    target: BaseDatabaseClient,
    namespace: Namespace,
    job: MigrationJob,
    read: EncodedBatch,
    documents: int,
) -> int:
    step = max(1, len(read) // _COMPARED_DOCUMENTS)
    sample = read.select(range(0, len(read), step))
    wanted = document_change(job)(sample).batch
    there = target.fetch(namespace, _ids(wanted))
    ids, documents_there = {id_bytes(document) for document in there}, set(there)
    other = sum(
        id_bytes(document) in ids and document not in documents_there
        for document in wanted.documents()
    )
    return round(other * documents / len(sample)) if len(sample) else 0


def _ids(batch: EncodedBatch) -> Sequence[Any]:
    found = (find_element(document, b"_id") for document in batch.documents())
    return [id_ for id_ in found if id_ is not None]
