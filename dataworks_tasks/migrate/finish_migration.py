"""What is left of a migration when every slice is copied."""

from __future__ import annotations

from dataworks_tasks.ledger.run_note import NoteTopic
from dataworks_tasks.migrate.collection_options import copy_validation
from dataworks_tasks.migrate.copy_indexes import IndexCopy, copy_indexes
from dataworks_tasks.migrate.index_notes import (
    record_indexes,
    refused_of_position,
    refused_to_position,
)
from dataworks_tasks.migrate.route import source_of
from dataworks_tasks.migrate.run_guards import RunGuards
from dataworks_tasks.migrate.source_counts import compare_counts
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.spec import IndexPolicy, MigrationJob, NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient


def finish_migration(
    context: RunContext, job: MigrationJob, guards: RunGuards, lease: FinishLease
) -> bool:
    """Build the indexes that were to come after the copy, set validators, compare the counts.

    False when ``lease`` was over before; what is built is found there at the next. Raises RunFailed
    when a collection is not the one any more that the run began with. Indexes that could not be
    built, and what the source has more or less than was read, are noted on the run.
    """
    source = source_of(context)
    if job.indexes is not IndexPolicy.NONE and not _build_indexes(context, job, source, lease):
        return False
    for pair in job.namespaces:
        copy_validation(source, context.target, pair)
    guards.check_all(job)
    ledger, run_id = context.ledger, context.spec.run_id
    notes = compare_counts(context.spec, job, source, ledger.progress(run_id), lease)
    if notes is None:
        return False
    guards.check_all(job)  # what was counted is of the collections that were read
    ledger.set_notes(run_id, NoteTopic.SOURCE, notes)
    return True


def _build_indexes(
    context: RunContext, job: MigrationJob, source: BaseDatabaseClient, lease: FinishLease
) -> bool:
    """Try every index, also of those that were to be there before the documents.

    What could not be built is kept as the lease's position: whoever continues does not try again,
    for a build may take hours. False when the lease was over before.
    """
    refused = refused_of_position(lease.position)
    copies: list[tuple[NamespacePair, IndexCopy]] = []
    for pair in job.namespaces:
        copy = copy_indexes(source, context.target, pair, lease, refused)
        if copy.refused:
            refused += copy.refused
            lease.note(refused_to_position(refused))
        if not copy.complete:
            return False
        copies.append((pair, copy))
    for pair, copy in copies:
        copy.refused = [item for item in refused if item.namespace == pair.target]
    record_indexes(context.ledger, context.spec.run_id, copies)
    return True
