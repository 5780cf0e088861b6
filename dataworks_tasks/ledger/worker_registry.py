"""The workers that are alive: each reports every few seconds to the Redis of the ledger."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from dataworks_tasks.ledger.keys import WORKERS
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_text

ALIVE_SECONDS = 20.0
"""A worker that is silent for longer is gone."""
_FORGOTTEN_SECONDS = 600.0
_ALWAYS_TIDY = 20
"""Up to this many workers, each one removes lost workers whenever it reports that it is alive."""


@dataclass(frozen=True, slots=True)
class LivingWorker:
    """A worker as it was ``seen_seconds`` ago.

    ``id`` is drawn at its start; ``name`` is Celery's, and may be another worker's as well.
    ``clock_seconds``: how far its clock is ahead of Redis'.
    """

    id: str
    name: str
    queues: tuple[str, ...]
    pool: str
    processes: int
    clock_seconds: float
    version: str
    seen_seconds: float = 0.0


class WorkerRegistry:
    """Raises what ``contract.Ledger`` raises."""

    def __init__(self, steps: RedisSteps) -> None:
        self._steps = steps
        self._redis = steps.redis

    def clock_seconds(self) -> float:
        """Return how far this machine's clock is ahead of Redis'."""
        before = time.time()
        now = self._now()
        return (before + time.time()) / 2 - now

    def enter(self, worker: LivingWorker) -> int:
        """Report that the worker is alive; return how many have done so, ended ones included.

        Some calls remove the workers that were silent for long. In a large fleet most calls do not,
        because that reads what all workers reported.
        """
        value = json.dumps({**asdict(worker), "at": self._now()})

        def store() -> int:
            self._redis.hset(WORKERS, worker.id, value)
            return self._redis.hlen(WORKERS)

        count = self._steps.guard("", store)
        if random.random() * count < _ALWAYS_TIDY:
            self._forget_the_gone()
        return count

    def _forget_the_gone(self) -> None:
        now = self._now()
        gone = [
            id_ for id_, entry in self._entries() if now - float(entry["at"]) > _FORGOTTEN_SECONDS
        ]
        if gone:
            self._steps.guard("", lambda: self._redis.hdel(WORKERS, *gone))

    def leave(self, worker_id: str) -> None:
        """Remove a worker that ends."""
        self._steps.guard("", lambda: self._redis.hdel(WORKERS, worker_id))

    def alive(self, silent_seconds: float = ALIVE_SECONDS) -> list[LivingWorker]:
        """Return the workers that reported within ``silent_seconds``, by name."""
        now, found = self._now(), []
        for _, entry in self._entries():
            seen = now - float(entry.pop("at"))
            if seen <= silent_seconds:
                values = {**entry, "queues": tuple(entry["queues"]), "seen_seconds": seen}
                found.append(LivingWorker(**values))
        return sorted(found, key=lambda worker: (worker.name, worker.id))

    def _entries(self) -> Sequence[tuple[str, dict[str, Any]]]:
        found = self._steps.guard("", lambda: self._redis.hgetall(WORKERS))
        return [
            (as_text(id_), json.loads(value))
            for id_, value in cast("dict[bytes, bytes]", found).items()
        ]

    def _now(self) -> float:
        seconds, micros = self._steps.guard("", self._redis.time)
        return seconds + micros / 1_000_000
