"""Count duplicates in targets that do not keep ``_id`` unique."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.numerals import counted
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.spec import GenerationPart


def note_duplicates(context: RunContext, parts: Sequence[GenerationPart]) -> None:
    """Record how many documents the target holds more than once.

    A worker that was presumed dead may still write, so a run into such a target never reports
    success without the count that this is based on.
    """
    notes = [_note(context, part) for part in parts if not part.unique_ids]
    if notes:
        context.ledger.set_notes(context.spec.run_id, NoteTopic.DUPLICATES, notes)


def _note(context: RunContext, part: GenerationPart) -> RunNote:
    pipeline: list[dict[str, Any]] = [
        {"$group": {"_id": "$_id", "times": {"$sum": 1}}},
        {"$group": {"_id": None, "documents": {"$sum": "$times"}, "ids": {"$sum": 1}}},
    ]
    found = context.target.aggregate_one(part.namespace, pipeline) or {}
    documents, ids = int(found.get("documents", 0)), int(found.get("ids", 0))
    text = (
        f"{counted(documents, 'document')} with {ids:,} different _ids: "
        f"{counted(documents - ids, 'is a duplicate', 'are duplicates')}, "
        "because ranges were written again"
        if documents > ids
        else f"{counted(documents, 'document')}, no duplicates"
    )
    return RunNote(NoteTopic.DUPLICATES, str(part.namespace), text, attention=documents > ids)
