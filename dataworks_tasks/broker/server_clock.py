"""The time of the Redis server, for machines whose clock differs."""

from __future__ import annotations

import time
from typing import Any


class ServerClock:
    """Computes the server's time from this machine's clock and the difference last measured."""

    def __init__(self) -> None:
        self.is_set = False
        self._ahead_seconds = 0.0

    def __call__(self) -> float:
        """Return seconds since 1970, as the server counts them."""
        return time.time() - self._ahead_seconds

    def set_by(self, client: Any) -> None:
        """Measure the difference. Raises the errors of redis-py."""
        before = time.time()
        seconds, micros = client.time()
        here = (before + time.time()) / 2
        self._ahead_seconds = here - (seconds + micros / 1_000_000)
        self.is_set = True
