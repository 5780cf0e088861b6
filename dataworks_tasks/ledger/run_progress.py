"""A run at one moment, read in one step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dataworks_tasks.ledger.acknowledged_ranges import interval
from dataworks_tasks.ledger.contract import RunProgress, RunState, WorkerReport
from dataworks_tasks.ledger.follow_gauge import read_gauge
from dataworks_tasks.ledger.keys import RunKeys
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_text, unknown_run
from dataworks_tasks.ledger.run_flags import RunFlags
from dataworks_tasks.ledger.run_limits import RunLimits
from dataworks_tasks.ledger.run_note import read_notes

_EXPECTED = "expected:"


def read_progress(steps: RedisSteps, run_id: str) -> RunProgress:
    """Read the run's progress in one round trip. Raises UnknownName."""
    keys = RunKeys(run_id)

    def read() -> list[Any]:
        with steps.redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(keys.record)
            pipe.zcard(keys.acknowledged)
            pipe.zrange(keys.acknowledged, 0, 0)
            pipe.zrange(keys.acknowledged, -1, -1)
            pipe.hgetall(keys.counters)
            pipe.hlen(keys.failures)
            pipe.hvals(keys.workers)
            pipe.hgetall(keys.notes)
            return pipe.execute()

    record, intervals, first, last, counters, failures, workers, notes = steps.guard(run_id, read)
    if not record:
        raise unknown_run(run_id)
    fields = {as_text(k): as_text(v) for k, v in record.items() if as_text(k) != "last_slice"}
    planned = int(fields["planned"])
    return RunProgress(
        run_id=run_id,
        state=RunState(fields["state"]),
        total=int(fields["total"]) if "total" in fields else None,
        planned=planned,
        acknowledged=int(fields["acknowledged"]),
        gaps=_count_gaps(intervals, first, last, max(planned, int(fields.get("total", 0)))),
        counters={as_text(name): int(value) for name, value in counters.items()},
        failures=failures,
        created_at=_moment(fields["created_at"]) or datetime.now(UTC),
        finished_at=_moment(fields.get("finished_at")),
        last_acknowledged_at=_moment(fields.get("last_acknowledged_at")),
        last_error=fields.get("error"),
        last_error_at=_moment(fields.get("error_at")),
        documents_expected=int(fields["expected"]),
        collections_expected={
            name.removeprefix(_EXPECTED): int(value)
            for name, value in fields.items()
            if name.startswith(_EXPECTED)
        },
        workers=tuple(WorkerReport(**json.loads(report)) for report in workers),
        finishing=fields.get("finishing") or None,
        following=read_gauge(fields),
        flags=RunFlags.from_json(fields["flags"]) if "flags" in fields else None,
        limits=RunLimits.from_json(fields["limits"]) if "limits" in fields else None,
        notes=read_notes({as_text(topic): as_text(text) for topic, text in notes.items()}),
    )


def _moment(value: str | None) -> datetime | None:
    return datetime.fromtimestamp(float(value), UTC) if value else None


def _count_gaps(intervals: int, first: Sequence[bytes], last: Sequence[bytes], planned: int) -> int:
    if not intervals:
        return 1 if planned else 0
    ends = (interval(first[0]).start > 0) + (interval(last[0]).stop < planned)
    return intervals - 1 + ends
