"""The slices of a run, as planning adds them and workers read them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import cast

from dataworks_tasks.errors import TransientError
from dataworks_tasks.ledger.contract import PlanEnd, RunState
from dataworks_tasks.ledger.keys import SLICES_PER_KEY, RunKeys
from dataworks_tasks.ledger.redis_steps import RedisSteps, unknown_run
from dataworks_tasks.runs.batch_range import BatchRange

_LARGEST = 2**16 - 1


class PlannedSlices:
    """Planned slices in Redis; ``contract.Ledger`` describes each method."""

    def __init__(self, steps: RedisSteps) -> None:
        self._steps = steps
        self._redis = steps.redis

    def append(
        self,
        run_id: str,
        end: PlanEnd,
        slices: Sequence[bytes],
        expected: int,
        by_collection: Mapping[str, int],
        collections: Sequence[int],
    ) -> None:
        """Add planned slices ``[first, first + len)``."""
        named = [part for item in by_collection.items() for part in item]
        added = BatchRange(end.planned, end.planned + len(slices))
        keys = RunKeys(run_id)
        names = [keys.record, keys.slice_collections, *slice_keys(run_id, added)]
        numbers = b"" if max(collections, default=0) > _LARGEST else _packed(collections)
        counts = (expected, SLICES_PER_KEY, len(by_collection), numbers)
        arguments = (end.planned, end.last_slice or b"", *counts, *named, *slices)
        if not self._steps.run(run_id, "append_slices", names, *arguments):
            # This includes the case in which Redis did it and the answer was lost: planning
            # continues from the record.
            raise another_plan(run_id)

    def close(self, run_id: str, end: PlanEnd) -> bool:
        """Close the plan: all slices are known. True when all are acknowledged already."""
        states = (RunState.PLANNING, RunState.RUNNING)
        keys = [RunKeys(run_id).record]
        arguments = (end.planned, end.last_slice or b"", *states)
        answer = int(self._steps.run(run_id, "close_plan", keys, *arguments))
        if answer < 0:
            raise another_plan(run_id)
        return bool(answer)

    def read(self, run_id: str, wanted: BatchRange) -> dict[int, bytes]:
        """Return slices by number; acknowledged ones are gone."""
        found: dict[int, bytes] = {}
        for key in slice_keys(run_id, wanted):
            values = self._steps.guard(run_id, lambda key=key: self._redis.hgetall(key))  # type: ignore[misc]
            for number, value in cast("dict[bytes, bytes]", values).items():
                if wanted.start <= int(number) < wanted.stop:
                    found[int(number)] = value
        return found

    def collections(self, run_id: str) -> Sequence[int]:
        """Return the number of each planned slice's collection."""
        key = RunKeys(run_id).slice_collections
        kept = cast("bytes | None", self._steps.guard(run_id, lambda: self._redis.get(key))) or b""
        return struct.unpack(f"<{len(kept) // 2}H", kept)

    def end(self, run_id: str) -> PlanEnd:
        """Return how many slices are planned, and the planner's position."""
        record = RunKeys(run_id).record
        planned, last = cast(
            "list[bytes | None]",
            self._steps.guard(run_id, lambda: self._redis.hmget(record, ["planned", "last_slice"])),
        )
        if planned is None:
            raise unknown_run(run_id)
        return PlanEnd(int(planned), last)


def _packed(collections: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(collections)}H", *collections)


def slice_keys(run_id: str, wanted: BatchRange) -> list[str]:
    """Return the keys of the hashes that hold these slices."""
    keys = RunKeys(run_id)
    first = wanted.start // SLICES_PER_KEY
    last = (wanted.stop - 1) // SLICES_PER_KEY
    return [keys.slices(number * SLICES_PER_KEY) for number in range(first, last + 1)]


def another_plan(run_id: str) -> TransientError:
    """Build the error for a planner whose plan is not the recorded one."""
    return TransientError(
        f"the plan of {run_id} does not end where this planner left it: another planner added to "
        "it, or Redis lost its last writes; planning continues from the recorded plan",
        f"Watch it: dataworks status {run_id} --watch",
    )
