"""The pauses between two reads of a run that a command watches."""

from __future__ import annotations

import time

from dataworks_tasks.ledger.contract import RunProgress

_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.02, 0.2


class Pauses:
    """Short pauses at the beginning and at the end of a run, when a person waits."""

    def __init__(self) -> None:
        self._began = self._changed = time.monotonic()
        self._was_done = False

    def after(self, progress: RunProgress) -> float:
        """Return a quarter of the time since the last change, or of the estimated time left."""
        now = time.monotonic()
        done, total = progress.acknowledged, progress.total
        if (total == done) is not self._was_done:
            self._changed, self._was_done = now, total == done
        near = now - self._changed
        if total and 0 < done < total:
            near = min(near, (now - self._began) * (total - done) / done)
        return min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, near / 4))
