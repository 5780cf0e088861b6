"""Where the keys of a migration are read and written."""

from __future__ import annotations

from dataworks_tasks.migrate.collection_options import read_options
from dataworks_tasks.migrate.route import document_change, parsed_filter, source_of
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.store.bounded_reads import Bound, now_at
from dataworks_tasks.sync.reconcile import KeyRoute
from dataworks_tasks.sync.target_keys import TargetCollection
from dataworks_tasks.sync.wanted import SourceDocuments


def migration_routes(
    context: RunContext, job: MigrationJob, bound: Bound | None = None, *, deletes: bool = True
) -> list[KeyRoute]:
    """Return one route per collection pair; reads are no older than ``bound``, or than their start.

    Raises SettingsError when this process has no source.
    """
    source, also = source_of(context), parsed_filter(job)
    concern, has_options = context.spec.write_concern, source.capabilities.collection_stats
    return [
        KeyRoute(
            SourceDocuments(
                source,
                pair.source,
                also,
                collated=has_options and "collation" in (read_options(source, pair.source) or {}),
                limiter=context.source_reads,
            ),
            document_change(job, pair),
            TargetCollection(context.target, pair.target, concern, context.rate_limiter),
            bound or (lambda: now_at(source)),
            deletes,
        )
        for pair in job.namespaces
    ]
