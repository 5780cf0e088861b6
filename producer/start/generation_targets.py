"""The collections of a generation run, with UUIDs by which workers recognize them."""

from __future__ import annotations

from collections.abc import Sequence

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationJob
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection


def create_missing(target: BaseDatabaseClient, namespaces: Sequence[Namespace]) -> None:
    """Create what a first insert would create, if collections have UUIDs."""
    if not target.capabilities.collection_stats:
        return
    for namespace in namespaces:
        if read_collection(target, namespace) is None:
            target.command(namespace.database, {"create": namespace.collection})


def with_collection_uuids(target: BaseDatabaseClient, job: GenerationJob) -> GenerationJob:
    """Add the current UUIDs of the job's collections."""
    found = {part.namespace: read_collection(target, part.namespace) for part in job.parts}
    parts = (
        part.model_copy(update={"uuid": facts.uuid if (facts := found[part.namespace]) else None})
        for part in job.parts
    )
    return job.model_copy(update={"parts": tuple(parts)})
