"""Compare what a migration read with what was planned, and with what the source has at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bson.raw_bson import RawBSONDocument

from dataworks_tasks.ledger.contract import RunProgress
from dataworks_tasks.ledger.run_counters import READ_OF, RunCounter
from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.migrate.route import parsed_filter
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from dataworks_tasks.store.background import ask_in_background
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """One collection. ``planned`` is None if planning does not count exactly."""

    pair: NamespacePair
    planned: int | None
    read: int
    present: int


def compare_counts(
    spec: RunSpec,
    job: MigrationJob,
    source: BaseDatabaseClient,
    progress: RunProgress,
    lease: FinishLease,
) -> list[RunNote] | None:
    """Return a note for each collection whose counts differ; None if ``lease`` ended first."""
    strategy = MigrationStrategyFactory.create(job.strategy)
    if progress.counters.get(RunCounter.REBUILT) and not strategy.copies_raw:
        return []  # existing documents do not show how many source documents they were made of
    notes: list[RunNote] = []
    for pair in job.namespaces:
        read = read_of_pair(job, pair, progress)
        present = _present(spec, job, pair, source, read, lease)
        if present is None:
            return None
        planned = _planned(job, pair, source, progress)
        notes += _notes(SourceCounts(pair, planned, read, present))
    return notes


def read_of_pair(job: MigrationJob, pair: NamespacePair, progress: RunProgress) -> int:
    """Return how many documents the run has read for a target collection."""
    counter: str = RunCounter.READ if len(job.namespaces) == 1 else f"{READ_OF}{pair.target}"
    return progress.counters.get(counter, 0)


def _present(
    spec: RunSpec,
    job: MigrationJob,
    pair: NamespacePair,
    source: BaseDatabaseClient,
    read: int,
    lease: FinishLease,
) -> int | None:
    """Return the documents that the source has now, counted if its metadata disagrees."""
    if job.filter is None and source.estimated_count(pair.source) == read:
        return read
    lease.show(lambda: f"counting {pair.source}")
    query = parsed_filter(job)
    wanted: Mapping[str, Any] = {} if query is None else RawBSONDocument(query)
    count = partial(source.count_without_timeout, pair.source, wanted)
    return ask_in_background((spec.run_id, pair.source), count, lease)


def _planned(
    job: MigrationJob, pair: NamespacePair, source: BaseDatabaseClient, progress: RunProgress
) -> int | None:
    """Return how many documents planning counted; None if it estimated or counted filtered ones."""
    keys_are_unique = MigrationStrategyFactory.create(job.strategy).resume_field == "_id"
    if job.filter is not None or job.partitioner == "sample" or not keys_are_unique:
        return None
    if source.capabilities.collection_stats:
        found = read_collection(source, pair.source)
        if found is not None and found.options.get("capped"):
            return None
    if len(job.namespaces) == 1:
        return progress.documents_expected
    return progress.collections_expected.get(str(pair.target), 0)


def _notes(counts: SourceCounts) -> Iterator[RunNote]:
    read, present, planned = counts.read, counts.present, counts.planned
    name = str(counts.pair.source)
    if present != read:
        more = (
            f"{present - read:,} more: they were added while the run copied"
            if present > read
            else f"{read - present:,} fewer: they were deleted after the run had read them, and "
            "may be at the target"
        )
        text = (
            f"the run read {counted(read, 'document')} and the source has {present:,} now, {more}"
        )
        yield RunNote(NoteTopic.SOURCE, name, text)
    elif planned is not None and planned > read:
        text = (
            f"{counted(planned, 'document was', 'documents were')} planned and {read:,} read: "
            f"{counted(planned - read, 'was', 'were')} deleted while the run copied"
        )
        yield RunNote(NoteTopic.SOURCE, name, text)
