"""The position of a target's history after a run's last write: later changes are by others."""

from __future__ import annotations

from bson.timestamp import Timestamp

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.key_windows import Append, Place
from dataworks_tasks.store.bounded_reads import now_at
from dataworks_tasks.store.client import BaseDatabaseClient

_NAME = "target_end"


def note_target_end(ledger: Ledger, run_id: str, target: BaseDatabaseClient) -> None:
    """Record the target's position, by the target's own clock, if it has one.

    Call it when every write of the run is acknowledged, and before the run is complete.
    """
    position = now_at(target)
    if position is None:
        return
    kept = ledger.key_windows.place(run_id, _NAME)
    text = f"{position.time}:{position.inc}".encode()
    ledger.key_windows.append(run_id, Append(place=Place(_NAME, kept, text)))


def target_end(ledger: Ledger, run_id: str) -> Timestamp | None:
    """Return the position; None if the run did not end, or its target has no history."""
    kept = ledger.key_windows.place(run_id, _NAME)
    if not kept:
        return None
    seconds, _, increment = kept.decode().partition(":")
    return Timestamp(int(seconds), int(increment))
