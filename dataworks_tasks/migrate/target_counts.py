"""Compare what a migration has written with what the target holds at the end.

A document that was acknowledged can be gone again: a TTL index of the target, a capped collection
or another writer deletes it. The guards only notice that a collection was replaced, not this.
"""

from __future__ import annotations

from dataworks_tasks.ledger.contract import RunProgress
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.migrate.source_counts import read_of_pair
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.spec import MigrationJob, RunSpec
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.count_at_least import count_at_least, fewer_than_written


def compare_target_counts(
    spec: RunSpec,
    job: MigrationJob,
    target: BaseDatabaseClient,
    progress: RunProgress,
    lease: FinishLease,
) -> list[RunNote] | None:
    """Return a note for each collection that holds too few; None if ``lease`` ended first."""
    strategy = MigrationStrategyFactory.create(job.strategy)
    if progress.counters.get(RunCounter.REBUILT) or not strategy.copies_raw:
        return []  # what was read does not show how many documents were made of it
    notes: list[RunNote] = []
    for pair in job.namespaces:
        # A failure may be of any collection, and its document may be there.
        least = read_of_pair(job, pair, progress) - progress.failures
        present = count_at_least(target, spec.run_id, pair.target, least, lease)
        if present is None:
            return None
        if present < least:
            text = fewer_than_written(present, least)
            notes.append(RunNote(NoteTopic.TARGET, str(pair.target), text))
    return notes
