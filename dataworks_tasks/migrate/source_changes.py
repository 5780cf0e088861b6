"""Note whether the source's documents changed while a migration copied, despite equal counts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import partial

from bson.timestamp import Timestamp

from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.spec import ClusterTime, MigrationJob, NamespacePair, RunSpec
from dataworks_tasks.store.background import ask_in_background
from dataworks_tasks.store.changed_documents import (
    MOST_COUNTED,
    ChangedDocuments,
    changed_documents,
)
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_guard import server_process
from dataworks_tasks.store.write_commands import count_write_commands

_LONGEST_SECONDS = 30.0
"""For reading the history of a collection that something wrote to."""
_SHARE, _LEAST_SECONDS = 0.03, 0.5
"""Share of the run's own time, if the server has counted no write command."""
_NO_HISTORY = ChangedDocuments(None, "only a MongoDB replica set can report them")


def note_changes(
    spec: RunSpec,
    job: MigrationJob,
    source: BaseDatabaseClient,
    lease: FinishLease,
    noted: Collection[str],
) -> list[RunNote] | None:
    """Return a note for each collection that was written to since the run began.

    None if ``lease`` ended first. ``noted``: collections whose counts already show it. If it cannot
    be found out, one note says why, which needs no attention.
    """
    same_server = spec.source_server is not None and server_process(source) == spec.source_server
    notes: list[RunNote] = []
    unknown: dict[str, None] = {}
    for pair in job.namespaces:
        if str(pair.source) in noted:
            continue
        writes = _writes(source, pair) if same_server else None
        found = _changed(spec, job.begins_at, pair, source, writes, lease)
        if found is None:
            return None
        notes += _notes(spec.run_id, pair, found, writes)
        if found.count is None and not writes:
            unknown[found.reason] = None
    notes += [
        RunNote(
            NoteTopic.SOURCE,
            "",
            f"updates of documents during the copy were not looked for: {reason}. Compare: "
            f"dataworks verify {spec.run_id}",
            attention=False,
        )
        for reason in unknown
    ]
    return notes


def _writes(source: BaseDatabaseClient, pair: NamespacePair) -> int | None:
    """Return the write commands since the run began; negative if the collection was renamed."""
    if pair.source_writes is None:
        return None
    now = count_write_commands(source, pair.source)
    return None if now is None else now - pair.source_writes


def _changed(
    spec: RunSpec,
    begins_at: ClusterTime | None,
    pair: NamespacePair,
    source: BaseDatabaseClient,
    writes: int | None,
    lease: FinishLease,
) -> ChangedDocuments | None:
    if begins_at is None:
        return _NO_HISTORY
    seconds = _LONGEST_SECONDS
    if writes == 0:
        ran = (datetime.now(UTC) - spec.created_at).total_seconds()
        seconds = min(seconds, max(_LEAST_SECONDS, _SHARE * ran))
    lease.show(lambda: f"looking for changes of {pair.source}")
    after = Timestamp(begins_at.seconds, begins_at.increment)
    ask = partial(changed_documents, source, pair.source, after, seconds)
    return ask_in_background((spec.run_id, "changes", pair.source), ask, lease)


def _notes(
    run_id: str, pair: NamespacePair, found: ChangedDocuments, writes: int | None
) -> Iterator[RunNote]:
    if found.count:
        many = " or more" if found.count >= MOST_COUNTED else ""
        fact = f"{counted(found.count, 'document')}{many} changed while the run copied"
    elif found.count is None and writes:
        fact = "it had another name for a time while the run copied"
        if writes > 0:
            times = counted(writes, "write command")
            fact = f"the server counted {times} while the run copied, but not what they changed"
    else:
        return
    advice = f"The target may have older versions. Compare: dataworks verify {run_id}"
    yield RunNote(NoteTopic.SOURCE, str(pair.source), f"{fact}. {advice}")
