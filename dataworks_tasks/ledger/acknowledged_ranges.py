"""The acknowledged ranges of a run, and the gaps between them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import cast

from dataworks_tasks.ledger.contract import Acknowledgement, RangeResult, WorkerReport
from dataworks_tasks.ledger.failure_records import failure_arguments
from dataworks_tasks.ledger.keys import SLICES_PER_KEY, RunKeys
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_text, unknown_run
from dataworks_tasks.ledger.worker_arguments import report_arguments
from dataworks_tasks.runs.batch_range import BatchRange

_PAGE = 1000


class AcknowledgedRanges:
    """Acknowledged ranges in Redis; ``contract.Ledger`` describes each method."""

    def __init__(self, steps: RedisSteps) -> None:
        self._steps = steps
        self._redis = steps.redis

    def acknowledge(
        self,
        run_id: str,
        done: BatchRange,
        result: RangeResult,
        worker: WorkerReport | None,
        slice_keys: Sequence[str] = (),
        expected_slice: bytes = b"",
    ) -> Acknowledgement:
        """Add ``done``; ``slice_keys``: where its slices are kept, empty in a generation run."""
        keys = RunKeys(run_id)
        names = [keys.acknowledged, keys.record, keys.counters, keys.failures, keys.failed_ranges]
        newly, closed = self._steps.run(
            run_id,
            "acknowledge",
            [*names, keys.workers, *((keys.parts, *slice_keys) if slice_keys else ())],
            done.start,
            done.stop,
            json.dumps(dict(result.counters)),
            *report_arguments(worker),
            SLICES_PER_KEY,
            expected_slice,
            *failure_arguments(result.failures),
        )
        return Acknowledgement(int(newly), bool(closed))

    def checkpoint_slice(
        self,
        run_id: str,
        number: int,
        result: RangeResult,
        expected_slice: bytes,
        rest: bytes,
        worker: WorkerReport | None,
    ) -> bool:
        """Count the completed part of a slice, and make ``rest`` the slice."""
        keys = RunKeys(run_id)
        names = [keys.record, keys.counters, keys.failures, keys.workers, keys.parts]
        changed = self._steps.run(
            run_id,
            "checkpoint_slice",
            [*names, keys.slices(number), keys.attempts],
            number,
            expected_slice,
            rest,
            json.dumps(dict(result.counters)),
            *report_arguments(worker),
            *failure_arguments(result.failures),
        )
        return bool(changed)

    def gaps(self, run_id: str, within: BatchRange | None) -> Iterator[BatchRange]:
        """Yield the ranges that are not acknowledged, in order."""
        if within is None:
            record = RunKeys(run_id).record
            planned = self._steps.guard(run_id, lambda: self._redis.hget(record, "planned"))
            if planned is None:
                raise unknown_run(run_id)
            within = BatchRange(0, int(cast("bytes", planned)))
        position = within.start
        for covered in self._intervals(run_id, within):
            if covered.start > position:
                yield BatchRange(position, min(covered.start, within.stop))
            position = max(position, covered.stop)
        if position < within.stop:
            yield BatchRange(position, within.stop)

    def _intervals(self, run_id: str, within: BatchRange) -> Iterator[BatchRange]:
        """Acknowledged intervals that may touch ``within``, in order, page by page.

        Acknowledgements that come in between only turn gaps into intervals, so a page that is out
        of date reports a gap that was just closed, never the other way round.
        """
        key = RunKeys(run_id).acknowledged
        start: int = within.start
        before = self._steps.guard(
            run_id, lambda: self._redis.zrevrangebyscore(key, start, "-inf", start=0, num=1)
        )
        yield from map(interval, cast("list[bytes]", before))
        floor = f"({start}"
        while True:
            low = floor
            page = cast(
                "list[bytes]",
                self._steps.guard(
                    run_id,
                    lambda low=low: self._redis.zrangebyscore(  # type: ignore[misc]
                        key, low, f"({within.stop}", start=0, num=_PAGE
                    ),
                ),
            )
            intervals = [interval(member) for member in page]
            yield from intervals
            if len(page) < _PAGE:
                return
            floor = f"({intervals[-1].start}"


def interval(member: bytes | str) -> BatchRange:
    """Decode a member of the sorted set of acknowledged ranges."""
    start, stop = as_text(member).split(":")
    return BatchRange(int(start), int(stop))
