"""Notice that the reader of a run's changes waits for a process."""

from __future__ import annotations

import time
from collections.abc import Callable

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.windows import DueStep
from dataworks_tasks.runs.driver_steps import FOLLOW

UNREAD_SECONDS = 2.0
"""How long nobody may read the source's changes while processes copy and reconcile."""
_SHORTEST_SECONDS = 0.25
"""The shortest turn of other work: there is progress even if the source cannot be read."""
_LOOK_SECONDS = 0.5


class WaitingReader:
    """Whether a process should leave its range to the reader of the run's changes.

    A slice, or windows that wait for tokens, may occupy every process of a fleet for as long as a
    message lasts, with other messages before the reader's. Meanwhile the source's history may end.
    """

    def __init__(
        self, ledger: Ledger, run_id: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin a turn of this process."""
        self._ledger, self._step, self._clock = ledger, DueStep(run_id, FOLLOW), clock
        self._looks_at = clock() + _SHORTEST_SECONDS
        self._waits = False

    def waits(self) -> bool:
        """Look twice a second; once the reader waits, it waits for the rest of the turn."""
        now = self._clock()
        if not self._waits and now >= self._looks_at:
            self._looks_at = now + _LOOK_SECONDS
            self._waits = self._look()
        return self._waits

    def _look(self) -> bool:
        gauge = self._ledger.progress(self._step.run_id).following
        unread = self._ledger.key_windows.now() - (gauge.seen_at if gauge else 0.0)
        return unread >= UNREAD_SECONDS and not self._ledger.driver.is_held(self._step)
