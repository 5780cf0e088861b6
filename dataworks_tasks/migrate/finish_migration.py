"""What is left of a migration when every slice is copied."""

from __future__ import annotations

from dataworks_tasks.migrate.collection_options import copy_validation
from dataworks_tasks.migrate.copy_indexes import copy_indexes
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.spec import IndexPolicy, MigrationJob
from dataworks_tasks.store.client import BaseDatabaseClient


def finish_migration(
    context: RunContext, job: MigrationJob, source: BaseDatabaseClient, lease: FinishLease
) -> bool:
    """Build the indexes that were to come after the copy, set validators, compare the counts.

    False when ``lease`` was over before; what is built is found there at the next. Raises RunFailed
    when an index cannot be built. Documents of the source that were not read are noted on the run:
    they arrived while it was running, or their keys escaped the plan.
    """
    for pair in job.namespaces:
        if job.indexes is IndexPolicy.AFTER:
            built = copy_indexes(source, context.target, pair, lease)
            if built is None:
                return False
        copy_validation(source, context.target, pair)
    if job.filter is not None:
        return True
    read = context.ledger.progress(context.spec.run_id).counters.get("read", 0)
    present = sum(source.estimated_count(pair.source) for pair in job.namespaces)
    if present > read:
        present = sum(source.count(pair.source) for pair in job.namespaces)
    if present > read:
        context.ledger.note_error(
            context.spec.run_id,
            f"the source holds {present - read:,} documents more than were read; "
            f"see which: dataworks verify {context.spec.run_id}",
        )
    return True
