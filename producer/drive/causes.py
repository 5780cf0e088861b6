"""Why the run that a command watches makes no progress; checked every few seconds."""

from __future__ import annotations

import time

from dataworks_tasks.ledger.contract import Ledger, RunProgress
from dataworks_tasks.monitor.standstill import GETS_ON, Standstill, standstill

_ASKED_EVERY_SECONDS = 2.0
_BREAK_SECONDS = 5.0
"""A Redis that answers after such a pause, as one that was suspended, gave no error."""
_BACK_SECONDS = 10.0
"""Workers that are alive have connected and reported this long after Redis began to answer, or to
store things, again."""


class Causes:
    """Remembers the last answer for a moment: it costs several steps."""

    def __init__(self, ledger: Ledger, *, at_once: bool = False) -> None:
        """``at_once``: ask before two seconds are over, because the run was not just started."""
        self._ledger = ledger
        self._found = GETS_ON
        self._asked_at = float("-inf") if at_once else time.monotonic()
        self._called_at = time.monotonic()
        self._silent_until = float("-inf")

    def of(self, progress: RunProgress) -> Standstill:
        """Return what blocks the run, at most two seconds old. Call it every second or so."""
        now = time.monotonic()
        if now - self._called_at > _BREAK_SECONDS:
            self.note_outage()
        if now - self._asked_at >= _ASKED_EVERY_SECONDS:
            self._asked_at = now
            self._found = standstill(
                self._ledger, progress, silence_counts=now >= self._silent_until
            )
            if not self._found.redis_stores:
                self.note_outage()
            elif time.monotonic() - now > _BREAK_SECONDS:
                self.note_outage()
                self._found = GETS_ON
        self._called_at = time.monotonic()
        return self._found

    def note_outage(self) -> None:
        """Note that Redis does not answer now, so that workers cannot report to it."""
        self._silent_until = time.monotonic() + _BACK_SECONDS
