"""Compare what a migration has written with what the target holds at the end.

A document that was acknowledged can be gone again: a TTL index of the target, a capped collection
or another writer deletes it. The guards notice a collection that is another one, not this.
"""

from __future__ import annotations

from functools import partial

from dataworks_tasks.ledger.contract import RunProgress
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.migrate.source_counts import read_of_pair
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from dataworks_tasks.store.background import ask_in_background
from dataworks_tasks.store.client import BaseDatabaseClient


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
        return []  # what was read does not say how many documents it became
    notes: list[RunNote] = []
    for pair in job.namespaces:
        # A failure may be of any collection, and its document may be there.
        least = read_of_pair(job, pair, progress) - progress.failures
        present = _present(spec, pair, target, least, lease)
        if present is None:
            return None
        if present < least:
            text = (
                f"it holds {counted(present, 'document')}, {least - present:,} fewer than the run "
                "has written: a TTL index, the size of a capped collection or another writer "
                "deleted them"
            )
            notes.append(RunNote(NoteTopic.TARGET, str(pair.target), text))
    return notes


def _present(
    spec: RunSpec, pair: NamespacePair, target: BaseDatabaseClient, least: int, lease: FinishLease
) -> int | None:
    """Documents that the target has now; counted where its own record says too few."""
    estimated = target.estimated_count(pair.target)
    if estimated >= least:
        return estimated
    lease.show(lambda: f"counting {pair.target}")
    count = partial(target.count_without_timeout, pair.target, {})
    return ask_in_background((spec.run_id, "target", pair.target), count, lease)
