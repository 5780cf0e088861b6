"""What is left of a migration when every slice is copied."""

from __future__ import annotations

from dataworks_tasks.ledger.run_note import NoteTopic
from dataworks_tasks.migrate.collection_options import copy_validation
from dataworks_tasks.migrate.copy_indexes import copy_indexes
from dataworks_tasks.migrate.route import source_of
from dataworks_tasks.migrate.run_guards import RunGuards
from dataworks_tasks.migrate.source_counts import compare_counts
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.spec import IndexPolicy, MigrationJob


def finish_migration(
    context: RunContext, job: MigrationJob, guards: RunGuards, lease: FinishLease
) -> bool:
    """Build the indexes that were to come after the copy, set validators, compare the counts.

    False when ``lease`` was over before; what is built is found there at the next. Raises RunFailed
    when an index cannot be built, and when a collection is not the one any more that the run began
    with. What the source has more or less than was read is noted on the run.
    """
    source = source_of(context)
    for pair in job.namespaces:
        if job.indexes is IndexPolicy.AFTER:
            built = copy_indexes(source, context.target, pair, lease)
            if built is None:
                return False
        copy_validation(source, context.target, pair)
    guards.check_all(job)
    ledger, run_id = context.ledger, context.spec.run_id
    notes = compare_counts(context.spec, job, source, ledger.progress(run_id), lease)
    if notes is None:
        return False
    guards.check_all(job)  # what was counted is of the collections that were read
    ledger.set_notes(run_id, NoteTopic.SOURCE, notes)
    return True
