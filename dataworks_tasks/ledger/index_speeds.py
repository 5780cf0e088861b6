"""How fast targets build indexes, learned from the builds of every run."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from dataworks_tasks.ledger.keys import INDEX_SPEEDS
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_text

_LEAST_SECONDS = 1.0
"""A shorter build says more about the network than about the server."""
_OLDER_COUNTS = 0.5
"""Servers grow, or get other neighbors: each build counts half as much as the one after it."""


_KEPT = 8
"""Builds of a target that are remembered."""


class IndexSpeed(NamedTuple):
    """How long builds took on a target, as a share of what ``runs.index_cost`` expects.

    ``least`` and ``most`` are those of the remembered builds: they differ if other work on the
    server comes and goes.
    """

    least: float
    likely: float
    most: float


class IndexSpeeds:
    """Raises what ``contract.Ledger`` raises."""

    def __init__(self, steps: RedisSteps) -> None:
        self._steps = steps
        self._redis = steps.redis

    def learn(self, target: str, seconds: float, expected: float) -> None:
        """Remember how long a build took on ``target``, a fingerprint of servers.

        If two processes learn at once, one build may be forgotten, which does no harm.
        """
        if seconds < _LEAST_SECONDS or expected <= 0:
            return
        builds = [*self._read(target), (seconds, expected)][-_KEPT:]
        text = " ".join(f"{one:.3f} {other:.3f}" for one, other in builds)
        self._steps.guard("", lambda: self._redis.hset(INDEX_SPEEDS, target, text))

    def read(self, target: str) -> IndexSpeed | None:
        """Return the speed of ``target``; None if no build was seen there."""
        builds = [(took, expected) for took, expected in self._read(target) if expected > 0]
        if not builds:
            return None
        shares = [took / expected for took, expected in builds]
        weights = [_OLDER_COUNTS**age for age in reversed(range(len(builds)))]
        took = sum(weight * one for weight, (one, _) in zip(weights, builds, strict=True))
        expected = sum(weight * one for weight, (_, one) in zip(weights, builds, strict=True))
        return IndexSpeed(min(shares), took / expected, max(shares))

    def _read(self, target: str) -> list[tuple[float, float]]:
        """Return what each build took and was expected to take, the newest last."""
        found: Any = self._steps.guard("", lambda: self._redis.hget(INDEX_SPEEDS, target))
        if found is None:
            return []
        numbers = [float(number) for number in as_text(cast("bytes", found)).split()]
        return list(zip(numbers[::2], numbers[1::2], strict=True))
