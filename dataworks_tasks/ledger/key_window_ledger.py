"""Key windows in the ledger: claims, places of readers, hot keys and deferred windows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from dataworks_tasks.ledger.acknowledged_ranges import AcknowledgedRanges
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.failure_records import failure_arguments
from dataworks_tasks.ledger.follow_gauge import FollowGauge
from dataworks_tasks.ledger.key_windows import (
    Append,
    ClaimGrant,
    ClaimRequest,
    CompletedKeys,
    Place,
    WindowStatus,
)
from dataworks_tasks.ledger.keys import SLICES_PER_KEY, RunKeys
from dataworks_tasks.ledger.planned_slices import another_plan
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_mapping, as_text
from dataworks_tasks.ledger.results import Acknowledgement, PlanEnd, WorkerReport
from dataworks_tasks.ledger.worker_arguments import report_arguments
from dataworks_tasks.runs.batch_range import BatchRange


@dataclass(slots=True)
class KeyWindowLedger:
    """The steps that live migration and repair add to the ledger; see the Lua files.

    All methods raise LedgerUnavailable when Redis does not answer, and UnknownName for a run that
    is not on record.
    """

    _steps: RedisSteps
    _ranges: AcknowledgedRanges
    _epochs: dict[str, int] = field(default_factory=dict)

    def claim(self, run_id: str, request: ClaimRequest) -> ClaimGrant | None:
        """Claim a slice or window; None while another process has it, or when it is done."""
        return self._claim(run_id, request, 0, unanswered=False)

    def extend(self, run_id: str, request: ClaimRequest, claim: int) -> bool:
        """Keep a claim for ``request.seconds`` from now; False when it is lost."""
        return self._claim(run_id, request, claim, unanswered=False) is not None

    def give_back(
        self, run_id: str, request: ClaimRequest, claim: int, *, unanswered: bool
    ) -> None:
        """End a claim before its time; ``unanswered``: a write of it has no answer."""
        released = ClaimRequest(
            request.number, request.data, request.holder, 0, request.late_seconds
        )
        self._claim(run_id, released, claim, unanswered=unanswered)

    def _claim(
        self, run_id: str, request: ClaimRequest, claim: int, *, unanswered: bool
    ) -> ClaimGrant | None:
        keys = RunKeys(run_id)
        granted, epoch, suspect = self._steps.run(
            run_id,
            "claim",
            [keys.record, keys.claims, keys.slices(request.number)],
            request.number,
            request.data,
            request.holder,
            f"{request.seconds:g}",
            self._epochs.get(run_id, 0),
            f"{request.late_seconds:g}",
            int(unanswered),
            claim,
        )
        self._epochs[run_id] = max(int(epoch), self._epochs.get(run_id, 0))
        return ClaimGrant(int(granted), bool(suspect)) if granted else None

    def checkpoint(
        self,
        run_id: str,
        window: CompletedKeys,
        worker: WorkerReport | None = None,
    ) -> Acknowledgement:
        """Acknowledge a window, or put its rest in its place; do nothing when its claim is lost."""
        result, outcome = window.result, window.outcome
        keys = RunKeys(run_id)
        hot = [part for key, pair in outcome.hot for part in (key, pair)]
        counts = [len(outcome.appended), len(outcome.hot), len(outcome.cleared)]
        counts += [int(outcome.isolated), int(bool(outcome.rest))]
        newly, closed, checkpointed = self._steps.run(
            run_id,
            "checkpoint_window",
            [
                *(keys.record, keys.acknowledged, keys.counters, keys.failures),
                *(keys.workers, keys.claims, keys.hot, keys.deferred),
            ],
            window.number,
            window.data,
            outcome.claim,
            outcome.holder,
            json.dumps(dict(result.counters)),
            *report_arguments(worker),
            f"{outcome.late_seconds:g}",
            int(outcome.unanswered),
            keys.slice_prefix,
            SLICES_PER_KEY,
            json.dumps(counts),
            *([outcome.rest] if outcome.rest else []),
            *outcome.appended,
            *hot,
            *outcome.cleared,
            *failure_arguments(result.failures),
        )
        return Acknowledgement(int(newly), bool(closed), bool(checkpointed))

    def append(self, run_id: str, append: Append) -> int | None:
        """Append windows, and the deferred ones that are due; return how many.

        None if another process moved the place, or the run is over; then nothing was appended.
        """
        keys, place = RunKeys(run_id), append.place or Place("", b"", b"")
        appended, _ = self._steps.run(
            run_id,
            "append_windows",
            [keys.record, keys.hot, keys.deferred],
            place.name,
            place.before,
            place.after,
            keys.slice_prefix,
            SLICES_PER_KEY,
            json.dumps([len(append.windows), len(append.hot_keys), append.documents]),
            append.due,
            *append.windows,
            *append.hot_keys,
        )
        return None if int(appended) < 0 else int(appended)

    def place(self, run_id: str, name: str) -> bytes:
        """Return the place of the reader called ``name``; empty when it has not begun."""
        record = RunKeys(run_id).record
        found = self._steps.guard(run_id, lambda: self._steps.redis.hget(record, name))
        return cast("bytes | None", found) or b""

    def hot_keys(self, run_id: str) -> Mapping[bytes, int]:
        """Return the hot set: keys as BSON, each with its collection pair."""
        key = RunKeys(run_id).hot
        found = self._steps.guard(run_id, lambda: self._steps.redis.hgetall(key))
        return {name: int(pair) for name, pair in cast("dict[bytes, bytes]", found).items()}

    def has_failures(self, run_id: str) -> bool:
        """Return whether any document's failure is on record."""
        key = RunKeys(run_id).failures
        return bool(self._steps.guard(run_id, lambda: self._steps.redis.exists(key)))

    def status(self, run_id: str) -> WindowStatus:
        """Return what is left besides the run's gaps; times are of Redis' clock."""
        keys, redis = RunKeys(run_id), self._steps.redis

        def read() -> list[object]:
            with redis.pipeline(transaction=True) as pipe:
                pipe.hlen(keys.hot)
                pipe.zcard(keys.deferred)
                pipe.zrange(keys.deferred, -1, -1, withscores=True)
                pipe.hmget(keys.record, ["suspect_until", "late_until"])
                pipe.hmget(keys.record, ["planned", "acknowledged"])
                return pipe.execute()

        hot, deferred, last, suspect, counts = self._steps.guard(run_id, read)
        planned, acknowledged = (int(each or 0) for each in cast("list[bytes | None]", counts))
        moments = cast("list[bytes | None]", suspect)
        until = cast("list[tuple[bytes, float]]", last)
        return WindowStatus(
            open_windows=planned - acknowledged,
            hot_keys=cast("int", hot),
            deferred=cast("int", deferred),
            deferred_until=until[0][1] if until else 0.0,
            suspect_until=max(float(as_text(each or b"0")) for each in moments),
        )

    def now(self) -> float:
        """Return Redis' time, in seconds since 1970."""
        seconds, micros = self._steps.guard("", self._steps.redis.time)
        return seconds + micros / 1_000_000

    def add_hot_keys(self, run_id: str, keys: Sequence[tuple[bytes, int]]) -> None:
        """Add keys, each with its collection pair, to the hot set."""
        if keys:
            name = RunKeys(run_id).hot
            items: list[Any] = [part for item in keys for part in item]
            self._steps.guard(run_id, lambda: self._steps.redis.hset(name, items=items))

    def close_copy(self, run_id: str, end: PlanEnd, late_seconds: float) -> None:
        """Record that every slice of the copy is planned, up to ``end``.

        ``late_seconds``: how long after the end of a claim its holder's writes may still arrive.
        Raises TransientError when the plan on record ends elsewhere.
        """
        states = (RunState.PLANNING, RunState.RUNNING)
        arguments = (end.planned, end.last_slice or b"", *states, f"{late_seconds:g}")
        if self._steps.run(run_id, "close_copy", [RunKeys(run_id).record], *arguments) < 0:
            raise another_plan(run_id)

    def copy_slices(self, run_id: str) -> int | None:
        """Return how many slices the copy has; None while they are being planned."""
        record = RunKeys(run_id).record
        found = self._steps.guard(run_id, lambda: self._steps.redis.hget(record, "copy_slices"))
        return None if found is None else int(cast("bytes", found))

    def is_copied(self, run_id: str) -> bool:
        """Return whether the copy is done, and no write of its slices' holders can still arrive."""
        record, redis = RunKeys(run_id).record, self._steps.redis
        if self._steps.guard(run_id, lambda: redis.hexists(record, "copied")):
            return True
        if not self._has_copied(run_id):
            return False
        # From now on claims are those of key windows, which do not delay the copy.
        self._steps.guard(run_id, lambda: redis.hset(record, "copied", "1"))
        return True

    def _has_copied(self, run_id: str) -> bool:
        slices = self.copy_slices(run_id)
        if slices is None or any(self._ranges.gaps(run_id, BatchRange(0, slices))):
            return False
        keys, redis = RunKeys(run_id), self._steps.redis
        claims = cast(
            "dict[bytes, bytes]", self._steps.guard(run_id, lambda: redis.hgetall(keys.claims))
        )
        late = self._steps.guard(run_id, lambda: redis.hget(keys.record, "late_seconds"))
        now, late_seconds = self.now(), float(as_text(cast("bytes", late or b"0")))
        for value in claims.values():
            # A holder that died keeps its claim; its writes can arrive for some time after the
            # claim ends.
            _, until, holder = [*as_text(value).split("|", 2), "", ""][:3]
            if holder and now < float(until) + late_seconds:
                return False
        return now >= self.status(run_id).suspect_until

    def complete(self, run_id: str, place: str, expected: bytes) -> bool:
        """Close the plan and complete the run; False if anything is left, or the place moved."""
        keys = RunKeys(run_id)
        states = (RunState.RUNNING, RunState.COMPLETE)
        names = [keys.record, keys.hot, keys.deferred]
        return bool(self._steps.run(run_id, "complete_follow", names, place, expected, *states))

    def note_following(self, run_id: str, gauge: FollowGauge) -> None:
        """Record how far the run lags behind its source, for people and alerts."""
        record, fields = RunKeys(run_id).record, gauge.fields()
        self._steps.guard(
            run_id, lambda: self._steps.redis.hset(record, mapping=as_mapping(fields))
        )

    def clear_failures(self, run_id: str, keys: Sequence[str]) -> None:
        """Forget failures that are over, by the names of their documents."""
        if keys:
            name = RunKeys(run_id).failures
            self._steps.guard(run_id, lambda: self._steps.redis.hdel(name, *keys))
