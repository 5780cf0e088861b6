"""The account's request units: what is left in this second, and what was used in each."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

HISTORY_SECONDS = 3600
LONGEST_RETRY_AFTER_MS = 1000
"""One second fills the complete allowance: a longer wait could not bring more."""


@dataclass(frozen=True, slots=True)
class SimulatorStatistics:
    """What the simulator counted since it started."""

    total_ru: float
    """Request units charged."""

    requests: int
    """Data requests, throttled ones too."""

    throttled_requests: int
    """Data requests that were refused with 16500, entirely or in part."""

    throttled_documents: int
    """Statements of writes that were refused with 16500."""

    ru_per_second: tuple[tuple[int, float], ...]
    """(second since the start, RU charged in it), of the last hour's seconds with a charge."""


class RequestUnitBudget:
    """A token bucket that holds one second's allowance, and the count of what was charged.

    Writes are charged before they run, reads when their size is known: a read may take the bucket
    below zero, and everybody waits until it is filled again. One thread charges; any may read.
    """

    def __init__(
        self, ru_per_second: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = ru_per_second
        self._clock = clock
        self._start = self._filled_at = clock()
        self._level = ru_per_second or 0.0
        self._lock = threading.Lock()
        self._total_ru = 0.0
        self._requests = self._throttled_requests = self._throttled_documents = 0
        self._history: deque[tuple[int, float]] = deque(maxlen=HISTORY_SECONDS)

    def available(self) -> float:
        """Request units that can be charged now; infinite without a limit."""
        if self._rate is None:
            return math.inf
        now = self._clock()
        self._level = min(self._rate, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return self._level

    def affordable(self, ru: float) -> bool:
        """Return whether an operation of ``ru`` may start.

        One that costs more than a second's allowance starts when the bucket is full; otherwise it
        never could.
        """
        available = self.available()
        return self._rate is None or min(ru, self._rate) <= available + 1e-9

    def charge(self, ru: float) -> None:
        """Take ``ru`` out of the bucket and count it."""
        if self._rate is not None:
            self._level = self.available() - ru
        second = int(self._clock() - self._start)
        with self._lock:
            self._total_ru += ru
            if self._history and self._history[-1][0] == second:
                self._history[-1] = (second, self._history[-1][1] + ru)
            else:
                self._history.append((second, ru))

    def count_request(self) -> None:
        """Count a data request."""
        with self._lock:
            self._requests += 1

    def count_throttled(self, documents: int = 0) -> None:
        """Count a refused data request and the ``documents`` of it that were refused."""
        with self._lock:
            self._throttled_requests += 1
            self._throttled_documents += documents

    def retry_after_ms(self, ru: float) -> int:
        """Milliseconds until ``ru`` can be charged, from 1 to 1,000."""
        if self._rate is None:
            return 1
        missing = min(ru, self._rate) - self.available()
        return min(LONGEST_RETRY_AFTER_MS, max(1, math.ceil(1000 * missing / self._rate)))

    def statistics(self) -> SimulatorStatistics:
        """Return the counts so far."""
        with self._lock:
            return SimulatorStatistics(
                self._total_ru,
                self._requests,
                self._throttled_requests,
                self._throttled_documents,
                tuple(self._history),
            )
