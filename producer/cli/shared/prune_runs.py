"""Forget runs that ended long ago."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dataworks_tasks.errors import UnknownName
from dataworks_tasks.ledger.contract import FINISHED, Ledger, RunState

_ENDED = FINISHED | {RunState.FAILED, RunState.CANCELLED}


def prune_runs(ledger: Ledger, age: timedelta) -> list[str]:
    """Forget every run that ended longer ago than ``age``; return their ids.

    Paused and active runs stay, however old they are. Written documents stay, too.
    """
    before = datetime.now(UTC) - age
    forgotten = []
    for run_id in ledger.run_ids():
        try:
            progress = ledger.progress(run_id)
        except UnknownName:
            ended_at = before - timedelta(seconds=1)  # half forgotten: the command was killed
        else:
            if progress.state not in _ENDED or progress.finished_at is None:
                continue
            ended_at = progress.finished_at
        if ended_at < before:
            ledger.forget(run_id)
            forgotten.append(run_id)
    return forgotten
