"""Why the run that a command watches makes no progress; checked every few seconds."""

from __future__ import annotations

import time

from dataworks_tasks.ledger.contract import Ledger, RunProgress
from dataworks_tasks.monitor.standstill import GETS_ON, Standstill, standstill

_ASKED_EVERY_SECONDS = 2.0


class Causes:
    """Remembers the last answer for a moment: it costs several steps."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._found = GETS_ON
        self._asked_at = time.monotonic()

    def of(self, progress: RunProgress) -> Standstill:
        """Return what blocks the run, at most two seconds old."""
        now = time.monotonic()
        if now - self._asked_at >= _ASKED_EVERY_SECONDS:
            self._asked_at = now
            self._found = standstill(self._ledger, progress)
        return self._found
