"""The history of every run, kept in Redis."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import cast

from dataworks_tasks.ledger.history import HistorySample, RunEvent, RunHistories
from dataworks_tasks.ledger.keys import RunKeys
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_text

_STEP_SECONDS = 2.0
_MOST_SAMPLES = 400
"""A curve needs no more points than a screen has; they take about 15 KB."""
_MOST_EVENTS = 200


class RedisRunHistories(RunHistories):
    """The histories of the runs on a Redis."""

    def __init__(self, steps: RedisSteps) -> None:
        self._steps = steps
        self._redis = steps.redis

    def sample(self, run_id: str) -> None:
        keys = RunKeys(run_id)
        names = [keys.record, keys.counters, keys.failures, keys.history]
        self._steps.run(run_id, "sample_history", names, f"{_STEP_SECONDS:g}", _MOST_SAMPLES)

    def read(self, run_id: str) -> tuple[HistorySample, ...]:
        key = RunKeys(run_id).history
        found = self._steps.guard(run_id, lambda: self._redis.lrange(key, 0, -1))
        return tuple(_sample(as_text(item)) for item in cast("list[bytes]", found))

    def record_event(self, run_id: str, event: RunEvent) -> None:
        key, text = RunKeys(run_id).events, json.dumps(asdict(event))

        def store() -> None:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.rpush(key, text)
                pipe.ltrim(key, -_MOST_EVENTS, -1)
                pipe.execute()

        self._steps.guard(run_id, store)

    def events(self, run_id: str) -> tuple[RunEvent, ...]:
        key = RunKeys(run_id).events
        found = self._steps.guard(run_id, lambda: self._redis.lrange(key, 0, -1))
        return tuple(RunEvent(**json.loads(item)) for item in cast("list[bytes]", found))


def _sample(text: str) -> HistorySample:
    at, documents, size, failures, *lag = text.split()
    return HistorySample(
        float(at), int(documents), int(size), int(failures), float(lag[0]) if lag else None
    )
