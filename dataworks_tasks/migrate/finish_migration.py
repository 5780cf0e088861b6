"""Finish a migration once every slice is copied."""

from __future__ import annotations

from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.migrate.collection_options import copy_validation
from dataworks_tasks.migrate.copy_indexes import IndexCopy, copy_indexes
from dataworks_tasks.migrate.index_notes import (
    record_indexes,
    refused_of_position,
    refused_to_position,
)
from dataworks_tasks.migrate.route import source_of
from dataworks_tasks.migrate.run_guards import RunGuards
from dataworks_tasks.migrate.schema_comparison import compare_options, compare_views
from dataworks_tasks.migrate.source_changes import note_changes
from dataworks_tasks.migrate.source_counts import compare_counts
from dataworks_tasks.migrate.target_counts import compare_target_counts
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.choices import IndexPolicy
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient

_NOTED_HERE = (
    NoteTopic.SOURCE,
    NoteTopic.TARGET,
    NoteTopic.OPTIONS,
    NoteTopic.VIEWS,
    NoteTopic.LEFT_OUT,
)
_INDEXES_LEFT_OUT = RunNote(
    NoteTopic.INDEXES, "", "left out, because of --indexes none", attention=False
)


def finish_migration(
    context: RunContext, job: MigrationJob, guards: RunGuards, lease: FinishLease
) -> bool:
    """Build the indexes that come after the copy, set validators, and compare the counts.

    False if ``lease`` ended first; the next call finds what is built. Raises RunFailed when a
    collection is no longer the one that the run started with. The run notes which indexes could not
    be built, what the source has more or less than was read, what changed there meanwhile, what the
    target has lost again, where it differs from the source, and what was left out.
    """
    source = source_of(context)
    if job.indexes is not IndexPolicy.NONE and not _build_indexes(context, job, source, lease):
        return False
    for pair in job.namespaces:
        copy_validation(source, context.target, pair)
    guards.check_all(job)
    if job.follow is not None:
        return True  # what was read is not what the source has: the source was changing
    ledger, run_id = context.ledger, context.spec.run_id
    notes = compare_counts(context.spec, job, source, ledger.progress(run_id), lease)
    if notes is None:
        return False
    noted = {note.collection for note in notes}
    changes = note_changes(context.spec, job, source, lease, noted)
    if changes is None:
        return False
    notes += changes
    progress = ledger.progress(run_id)
    missing = compare_target_counts(context.spec, job, context.target, progress, lease)
    if missing is None:
        return False
    notes += missing
    notes += _schema_notes(source, context.target, job)
    guards.check_all(job)  # what was compared belongs to the collections that were read
    for topic in _NOTED_HERE:
        ledger.set_notes(run_id, topic, [note for note in notes if note.topic is topic])
    is_noted = any(note.topic is NoteTopic.INDEXES for note in progress.notes)
    if job.indexes is IndexPolicy.NONE and not is_noted:  # nor built since by `dataworks indexes`
        ledger.set_notes(run_id, NoteTopic.INDEXES, [_INDEXES_LEFT_OUT])
    return True


def _schema_notes(
    source: BaseDatabaseClient, target: BaseDatabaseClient, job: MigrationJob
) -> list[RunNote]:
    """Return notes on what differs at the target or was left out, except indexes."""
    return [
        *compare_options(source, target, job),
        *compare_views(source, target, job),
        *(
            RunNote(NoteTopic.LEFT_OUT, str(item.namespace), item.reason, item.attention)
            for item in job.left_out
        ),
    ]


def _build_indexes(
    context: RunContext, job: MigrationJob, source: BaseDatabaseClient, lease: FinishLease
) -> bool:
    """Try every index, including those that were due before the documents.

    What could not be built is kept in the lease's position: the next holder does not try it again,
    because a build may take hours. False if the lease ended first.
    """
    refused = refused_of_position(lease.position)
    copies: list[tuple[NamespacePair, IndexCopy]] = []
    for pair in job.namespaces:
        copy = copy_indexes(source, context.target, pair, lease, refused)
        for entries in pair.index_entries:
            seconds = copy.seconds.get(entries.name)
            context.learn_index_speed(pair.target, [entries], seconds)
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
