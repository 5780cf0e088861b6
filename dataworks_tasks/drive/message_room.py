"""How many messages of a run wait in the queue."""

from __future__ import annotations

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.runs.choices import Priority
from dataworks_tasks.runs.spec import RunSpec

ROOM = {Priority.LOW: 1, Priority.NORMAL: 2, Priority.HIGH: 8}
"""Messages of a run that wait in the queue.

With 2 messages each, ten runs take turns with an evenness of 0.997, and a new run waits for at most
20 messages.
"""
MOST_ROOM = 32


def room_of(spec: RunSpec) -> int:
    """Return how many messages of the run wait unless it is fast."""
    return ROOM[spec.priority or Priority.NORMAL]


def open_window(ledger: Ledger, spec: RunSpec, queue: str) -> None:
    """Start sending at the run's first gap."""
    size = 1 if spec.is_sliced else spec.batch_size
    ledger.windows.open(spec.run_id, queue, size, room_of(spec), spec.max_processes or 0)
