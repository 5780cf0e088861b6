"""Note the source's state before a run reads it, so that its end can show what changed."""

from __future__ import annotations

from dataworks_tasks.runs.spec import ClusterTime, MigrationJob
from dataworks_tasks.store.bounded_reads import now_at
from dataworks_tasks.store.capabilities import CollectionCommand
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.write_commands import count_write_commands

_NONE = CollectionCommand.NONE


def with_source_moment(source: BaseDatabaseClient, job: MigrationJob) -> MigrationJob:
    """Add the source's time, and its counts of write commands to each collection."""
    if job.follow is not None:
        return job  # its changes are copied
    pairs = tuple(
        pair.model_copy(update={"source_writes": count_write_commands(source, pair.source)})
        for pair in job.namespaces
    )
    return job.model_copy(update={"namespaces": pairs, "begins_at": _time(source)})


def _time(source: BaseDatabaseClient) -> ClusterTime | None:
    capabilities = source.capabilities
    if not capabilities.majority_reads or capabilities.collection_command is not _NONE:
        return None  # the history of a sharded cluster lags behind its slowest shard
    now = now_at(source)
    return None if now is None else ClusterTime(seconds=now.time, increment=now.inc)
