"""Pauses between retries."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter, bounded by a number of tries.

    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """

    base_seconds: float = 0.05
    cap_seconds: float = 5.0
    tries: int = 8

    def ceiling(self, attempt: int) -> float:
        """Return the longest pause after failed attempt number ``attempt``; 0 is the first."""
        return min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt, 30))

    def pause(self, attempt: int) -> float:
        """Return a pause in seconds, drawn uniformly between 0 and the ceiling."""
        return random.uniform(0.0, self.ceiling(attempt))

    def pauses(self) -> Iterator[float]:
        """Yield one pause per retry."""
        return (self.pause(attempt) for attempt in range(self.tries))
