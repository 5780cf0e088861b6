"""The open windows of a run."""

from __future__ import annotations

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.sync.key_window import KeyWindow, is_key_window


def oldest_open_change(ledger: Ledger, run_id: str) -> int:
    """Return the second of the first open window's first change; 0 if unknown."""
    gap = next(iter(ledger.gaps(run_id)), None)
    if gap is None:
        return 0
    data = ledger.slices(run_id, BatchRange(gap.start, gap.start + 1)).get(gap.start)
    return KeyWindow.from_bytes(data).seconds if data and is_key_window(data) else 0
