"""Faults by the dials, from one seeded source of chance."""

from __future__ import annotations

import random
from collections.abc import Sequence

from producer.cosmos_simulator.config import FaultDials

RETRY_AFTER_MS_WITHOUT_BUDGET = 34
"""What a throttled answer says when no budget was exceeded: the value of the documented example."""


class Faults:
    """Decides which request meets which fault. One request makes each decision once, in order."""

    def __init__(self, dials: FaultDials) -> None:
        self.dials = dials
        self._random = random.Random(dials.seed)

    def happens(self, share: float) -> bool:
        """Return whether a fault with this share happens now; draws nothing when it is off."""
        return share > 0 and self._random.random() < share

    def refused(self, positions: Sequence[int]) -> set[int]:
        """Return those of ``positions`` that the dial for single documents refuses."""
        share = self.dials.document_throttle_share
        if not share:
            return set()
        return {position for position in positions if self._random.random() < share}

    def retry_after_ms(self, retry_after_ms: int) -> int | None:
        """Return the delay that a throttled answer names; None: it names none."""
        return None if self.happens(self.dials.omit_retry_after_share) else retry_after_ms

    def order(self, count: int) -> list[int]:
        """``range(count)`` shuffled: the order in which an unordered bulk write is executed."""
        positions = list(range(count))
        self._random.shuffle(positions)
        return positions

    def accepted(self, count: int) -> int:
        """Return how many of ``count`` statements pass when the dial throttles a bulk write."""
        return self._random.randrange(count) if count > 1 else 0
