"""Refuse targets that cannot be written to, or in which a repeated range would be duplicated."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.namespace import BUCKETS, Namespace
from dataworks_tasks.runs.spec import GenerationJob
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection
from dataworks_tasks.store.unique_ids import why_ids_repeat

_REDONE = "a range that is written again after a crash would be duplicated"


def check_writable(target: BaseDatabaseClient, namespaces: Sequence[Namespace]) -> None:
    """Raise UsageError for a view, and for a collection that belongs to the server."""
    for namespace in namespaces:
        name = namespace.collection
        if name.startswith("system.") and not name.startswith(BUCKETS):
            raise UsageError(
                f"{namespace} belongs to the server", "Choose a target with another name"
            )
        found = read_collection(target, namespace) if name else None
        if found is not None and found.is_view:
            of = found.options.get("viewOn", "another collection")
            raise UsageError(
                f"{namespace} is a view of {of}: nothing can be written to it",
                "Choose another target, or drop the view yourself",
            )


def check_unique_ids(target: BaseDatabaseClient, namespaces: Sequence[Namespace]) -> None:
    """Raise UsageError for a target that does not keep ``_id`` unique."""
    for namespace in namespaces:
        reason = why_ids_repeat(target, namespace)
        if reason is not None:
            raise UsageError(
                f"{namespace} {reason}: {_REDONE}",
                "Copy to a collection that does not exist yet, or to one with an index on _id",
            )


def with_repeating_ids(
    target: BaseDatabaseClient,
    job: GenerationJob,
    *,
    allowed: bool,
    created_as_series: Collection[Namespace] = (),
) -> GenerationJob:
    """Mark the parts of a job whose target does not keep ``_id`` unique.

    ``created_as_series`` are those that the template creates as time series. Raises UsageError
    unless that is allowed.
    """
    parts = []
    for part in job.parts:
        reason = why_ids_repeat(target, part.namespace)
        if part.namespace in created_as_series:
            reason = "is a time series, which does not keep an _id unique"
        if reason is not None and not allowed:
            raise UsageError(
                f"{part.namespace} {reason}: {_REDONE}",
                "Choose another collection, or add --allow-duplicates: the run then counts "
                "and reports the duplicates",
            )
        parts.append(part.model_copy(update={"unique_ids": reason is None}))
    return job.model_copy(update={"parts": tuple(parts)})
