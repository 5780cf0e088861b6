"""How many documents the next write gets: fewer after throttling, more again after success."""

from __future__ import annotations

import threading

_SMALLEST = 1
_GROWTH = 1.5


class WriteSize:
    """Shared by a process' writers. Without throttling there is no limit of its own.

    A refused write shrinks it to what the server took of it, and halves it when it took nothing;
    each full write that went through lets it grow by half, until a dialect's limit is reached.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limit: int | None = None

    def at_most(self, most: int) -> int:
        """How many documents to send, where ``most`` are allowed."""
        limit = self._limit
        return most if limit is None else min(most, limit)

    def throttled(self, sent: int, taken: int) -> None:
        """The server refused all but ``taken`` of ``sent`` documents."""
        with self._lock:
            fitting = taken if taken > 0 else sent // 2
            current = sent if self._limit is None else self._limit
            self._limit = max(_SMALLEST, min(current, fitting))

    def succeeded(self, sent: int, most: int) -> None:
        """The server took all of ``sent`` documents, where ``most`` were allowed."""
        limit = self._limit
        if limit is None or sent < limit:
            return
        with self._lock:
            grown = int(limit * _GROWTH) + 1
            self._limit = None if grown >= most else grown
