"""How many documents the next write gets: fewer after throttling, more again after success."""

from __future__ import annotations

import threading

_SMALLEST = 1
_GROWTH = 1.5
_REASON_TO_SHRINK = 0.25
"""A write was too large if less than this share of it was accepted.

A server that refuses a small share also refuses it of small writes, and each of those costs a round
trip.
"""


class WriteSize:
    """Shared by a process' writers. It sets no limit unless the server throttles.

    If the server accepts less than a quarter of a write, the limit is halved; each other write of
    full size lets it grow by half, up to the dialect's limit. The few documents that are sent again
    after a larger write say nothing about its size.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limit: int | None = None
        self._largest = 0

    def at_most(self, most: int) -> int:
        """Return how many documents to send if ``most`` are allowed."""
        limit = self._limit
        return most if limit is None else min(most, limit)

    def record(self, sent: int, refused: int, most: int) -> None:
        """Record that the server refused ``refused`` of ``sent`` documents.

        ``most`` is how many were allowed then.
        """
        with self._lock:
            self._largest = max(self._largest, sent)
            limit = self._largest if self._limit is None else self._limit
            if sent - refused < _REASON_TO_SHRINK * sent:
                if sent >= limit / 2:
                    self._limit = max(_SMALLEST, min(sent, limit) // 2)
            elif self._limit is not None and sent >= self._limit:
                grown = int(self._limit * _GROWTH) + 1
                self._limit = None if grown >= most else grown
