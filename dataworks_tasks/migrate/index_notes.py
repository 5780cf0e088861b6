"""The run's notes about indexes that its target does not have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.migrate.copy_indexes import IndexCopy, RefusedIndex
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import NamespacePair


def record_indexes(
    ledger: Ledger, run_id: str, copies: Iterable[tuple[NamespacePair, IndexCopy]]
) -> None:
    """Replace the run's notes about its indexes with their current state."""
    found = list(copies)
    notes = [note for pair, copy in found for note in _notes(run_id, pair, copy)]
    there = sum(len(copy.built) + len(copy.present) for _, copy in found)
    if wanted := there + sum(len(copy.refused) for _, copy in found):
        text = f"{there:,} of {wanted:,} at the target"
        notes.append(RunNote(NoteTopic.INDEXES, "", text, attention=False))
    ledger.set_notes(run_id, NoteTopic.INDEXES, notes)


def _notes(run_id: str, pair: NamespacePair, copy: IndexCopy) -> Iterator[RunNote]:
    target = str(pair.target)
    for refused in copy.refused:
        text = f"{refused}. Correct that, then: dataworks indexes {run_id}"
        yield RunNote(NoteTopic.INDEXES, target, text)
    for name, options in sorted(copy.unknown.items()):
        text = f"the index {name} is without {', '.join(options)}, which current servers lack"
        yield RunNote(NoteTopic.INDEXES, target, text, attention=False)


def refused_to_position(refused: Sequence[RefusedIndex]) -> str:
    """Encode the indexes that were tried, for the lease's next holder: a build may take hours."""
    return json.dumps([[*item.namespace, item.name, item.reason] for item in refused])


def refused_of_position(position: str) -> list[RefusedIndex]:
    """Return the indexes that were tried before this resume position."""
    return [
        RefusedIndex(Namespace(database, collection), name, reason)
        for database, collection, name, reason in json.loads(position or "[]")
    ]
