"""How fast targets build indexes, learned from the builds of every run."""

from __future__ import annotations

from typing import Any, cast

from dataworks_tasks.ledger.keys import INDEX_SPEEDS
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_text

_LEAST_SECONDS = 1.0
"""A shorter build says more about the network than about the server."""
_OLDER_COUNTS = 0.5
"""A server grows, or gets other neighbors: what was learned before counts half of the newest."""


class IndexSpeeds:
    """Raises what ``contract.Ledger`` raises.

    A speed is the time that builds took, as a share of what ``runs.index_cost`` expects.
    """

    def __init__(self, steps: RedisSteps) -> None:
        self._steps = steps
        self._redis = steps.redis

    def learn(self, target: str, seconds: float, expected: float) -> None:
        """Remember that a build took so long on ``target``, a fingerprint of servers.

        Two processes that learn at once may forget one of two builds, which does no harm.
        """
        if seconds < _LEAST_SECONDS or expected <= 0:
            return
        took, had_expected = self._read(target)
        text = f"{_OLDER_COUNTS * took + seconds:.3f} {_OLDER_COUNTS * had_expected + expected:.3f}"
        self._steps.guard("", lambda: self._redis.hset(INDEX_SPEEDS, target, text))

    def read(self, target: str) -> float | None:
        """Return the speed of ``target``; None if no build was seen there."""
        took, expected = self._read(target)
        return took / expected if expected else None

    def _read(self, target: str) -> tuple[float, float]:
        found: Any = self._steps.guard("", lambda: self._redis.hget(INDEX_SPEEDS, target))
        if found is None:
            return 0.0, 0.0
        took, expected = as_text(cast("bytes", found)).split()
        return float(took), float(expected)
