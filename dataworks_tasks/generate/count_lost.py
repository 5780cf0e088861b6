"""Count documents that the target of a generation has lost since it acknowledged them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationPart
from dataworks_tasks.store.count_at_least import count_at_least, fewer_than_written


def note_lost_documents(
    context: RunContext, parts: Sequence[GenerationPart], lease: FinishLease
) -> bool:
    """Note each collection that holds fewer than the run wrote; False if ``lease`` ended first.

    Documents that were there before the run are unknown, so they may hide some that are lost.
    """
    ledger, run_id = context.ledger, context.spec.run_id
    # A failure may be of any collection, and its document may be there.
    failures = ledger.progress(run_id).failures
    written: Counter[Namespace] = Counter()
    for part in parts:
        written[part.namespace] += part.count
    notes: list[RunNote] = []
    for namespace, documents in written.items():
        least = documents - failures
        present = count_at_least(context.target, run_id, namespace, least, lease)
        if present is None:
            return False
        if present < least:
            text = fewer_than_written(present, least)
            notes.append(RunNote(NoteTopic.TARGET, str(namespace), text))
    ledger.set_notes(run_id, NoteTopic.TARGET, notes)
    return True
