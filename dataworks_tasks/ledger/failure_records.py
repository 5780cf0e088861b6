"""The documents of a run that could not be written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import cast

from dataworks_tasks.ledger.contract import DocumentFailure, FailurePage, RunState
from dataworks_tasks.ledger.keys import RunKeys, due_key, due_members
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_text
from dataworks_tasks.runs.batch_range import BatchRange

_PAGE = 1000


class FailureRecords:
    """Failed documents in Redis; ``contract.Ledger`` describes each method."""

    def __init__(self, steps: RedisSteps) -> None:
        self._steps = steps
        self._redis = steps.redis

    def record(self, run_id: str, failures: Sequence[DocumentFailure]) -> None:
        """Record failures of a range that is not acknowledged."""
        key, items = RunKeys(run_id).failures, failure_arguments(failures)
        if items:
            self._steps.guard(run_id, lambda: self._redis.hset(key, items=items))

    def all(self, run_id: str) -> Iterator[DocumentFailure]:
        """Return every recorded failure."""
        cursor = self._redis.hscan_iter(RunKeys(run_id).failures, count=_PAGE)
        while True:
            entry = self._steps.guard(run_id, lambda: next(cursor, None))
            if entry is None:
                return
            yield DocumentFailure(key=as_text(entry[0]), **json.loads(entry[1]))

    def page(self, run_id: str, cursor: int) -> FailurePage:
        """Return some failures from ``cursor`` on."""
        key = RunKeys(run_id).failures
        reply = self._steps.guard(run_id, lambda: self._redis.hscan(key, cursor, count=_PAGE))
        following, entries = cast("tuple[int, dict[bytes, bytes]]", reply)
        found = (DocumentFailure(as_text(k), **json.loads(v)) for k, v in entries.items())
        return FailurePage(tuple(found), following)

    def ranges(self, run_id: str) -> tuple[BatchRange, ...]:
        """Return the acknowledged ranges that hold failures."""
        key = RunKeys(run_id).failed_ranges
        found = self._steps.guard(run_id, lambda: self._redis.hkeys(key))
        bounds = (as_text(member).split(":") for member in cast("list[bytes]", found))
        return tuple(sorted(BatchRange(int(start), int(stop)) for start, stop in bounds))

    def reopen(self, run_id: str, queue: str, steps: Sequence[str]) -> int:
        """Turn every acknowledged range that holds failures into a gap again; return how many."""
        keys = RunKeys(run_id)
        names = [keys.acknowledged, keys.record, keys.counters, keys.failures, keys.failed_ranges]
        names += [due_key(queue), keys.budget]
        states = (RunState.PLANNING, RunState.RUNNING)
        members = due_members(run_id, steps)
        return int(self._steps.run(run_id, "reopen_failed", names, *states, *members))


def failure_arguments(failures: Sequence[DocumentFailure]) -> list[str]:
    """Return each failure's key and its other fields as JSON, one after the other."""
    arguments: list[str] = []
    for failure in failures:
        values = asdict(failure)
        if not failure.bson_id:
            del values["bson_id"]
        if failure.index is None:
            del values["index"]
        arguments += values.pop("key"), json.dumps(values)
    return arguments
