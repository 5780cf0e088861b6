"""Record what the databases hold of a run's collections when the run ends."""

from __future__ import annotations

from collections.abc import Iterator

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.final_collection import FinalCollection, HeldCollection
from dataworks_tasks.runs.namespace import Namespace, series_of_buckets
from dataworks_tasks.runs.spec import GenerationJob, RunSpec
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_size import measure_collection


def record_final_collections(
    ledger: Ledger, spec: RunSpec, target: BaseDatabaseClient, source: BaseDatabaseClient | None
) -> None:
    """Measure each collection of the run at the target and at the source, and keep the figures.

    They come from the databases, independent of what the run counted. Raises TransientError
    when a server does not answer.
    """
    found = [
        FinalCollection(_held(target, to), _held(source, came) if source and came else None)
        for came, to in _namespaces(spec)
    ]
    ledger.record_final_collections(spec.run_id, found)


def _namespaces(spec: RunSpec) -> Iterator[tuple[Namespace | None, Namespace]]:
    job = spec.data_job
    if isinstance(job, GenerationJob):
        for namespace in dict.fromkeys(part.namespace for part in job.parts):
            yield None, namespace
    else:
        for pair in job.namespaces:
            yield pair.source, pair.target


def _held(client: BaseDatabaseClient, namespace: Namespace) -> HeldCollection:
    size = measure_collection(client, namespace)
    return HeldCollection(
        str(series_of_buckets(namespace)), size.documents, size.bytes, size.indexes
    )
