"""How the documents of a migration travel: where they are read, and what changes them."""

from __future__ import annotations

from functools import reduce

from bson import encode
from bson.errors import BSONError
from bson.json_util import loads
from bson.timestamp import Timestamp

from dataworks_tasks.documents.raw_bson import EXTENDED_JSON
from dataworks_tasks.errors import SettingsError, UsageError
from dataworks_tasks.migrate.collection_options import read_options
from dataworks_tasks.migrate.declared_change import by_transform
from dataworks_tasks.migrate.document_change import (
    DocumentChange,
    by_id_from,
    by_strategy,
    in_turn,
    unchanged,
)
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.migrate.run_guards import RunGuards
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.scan.read_slice import SliceSource
from dataworks_tasks.scan.repeated_ids import RepeatedIds
from dataworks_tasks.store.client import BaseDatabaseClient


def source_of(context: RunContext) -> BaseDatabaseClient:
    """Return the source's client. Raises SettingsError if this process has none."""
    if context.source is None:
        raise SettingsError(
            "this process has no source database",
            "Set FRAMEWORK_SOURCE_DB_CONNECTION_STRING",
        )
    return context.source


def slice_source(
    context: RunContext, job: MigrationJob, pair: NamespacePair, guards: RunGuards
) -> SliceSource:
    """Return how to read the slices of one collection of the run."""
    strategy = MigrationStrategyFactory.create(job.strategy)
    most = context.target.capabilities.max_documents_per_write
    source = source_of(context)
    return SliceSource(
        client=source,
        namespace=pair.source,
        field=strategy.resume_field.encode(),
        also=parsed_filter(job),
        # A batch that is read is written as one: a slow target is stopped within one batch.
        batch_size=min(context.config.source_db_batch_size, most),
        rate_limiter=context.source_reads,
        check=guards.source.checks(pair.source, pair.source_uuid),
        repeated_ids=repeated_ids(source, pair.source),
        at_least=_start_of_following(job),
    )


def _start_of_following(job: MigrationJob) -> Timestamp | None:
    """Return the time from which a followed copy must read."""
    if job.follow is None:
        return None
    return Timestamp(job.follow.position.seconds, job.follow.position.increment)


def repeated_ids(client: BaseDatabaseClient, namespace: Namespace) -> RepeatedIds | None:
    """Return what identifies a document besides ``_id``; None if ``_id`` is enough."""
    shard_key = client.shared_id_key(namespace)
    if not shard_key:
        return None
    has_collations = client.capabilities.collection_stats
    options = (read_options(client, namespace) or {}) if has_collations else {}
    return RepeatedIds(shard_key, simple_order="collation" not in options)


def document_change(job: MigrationJob, pair: NamespacePair | None = None) -> DocumentChange:
    """Return the change that the run applies; with ``pair``, to one of its collections."""
    strategy = MigrationStrategyFactory.create(job.strategy)
    changes = [] if strategy.copies_raw else [by_strategy(strategy)]
    if job.transform:
        changes.append(by_transform(job.transform))
    if pair is not None and pair.id_from:
        changes.append(by_id_from(pair.id_from))
    return reduce(in_turn, changes) if changes else unchanged


def parsed_filter(job: MigrationJob) -> bytes | None:
    """Return the run's filter as BSON. Raises UsageError unless it is an Extended JSON query."""
    if job.filter is None:
        return None
    try:
        query = loads(job.filter, json_options=EXTENDED_JSON)
        if not isinstance(query, dict):
            raise ValueError("it is one value, and not a document of fields")
        return encode(query)
    except (ValueError, TypeError, AttributeError, BSONError) as error:
        raise UsageError(
            f"--filter is not a query in Extended JSON: {error}",
            """Write it like --filter '{"status": "open"}'""",
        ) from None
