"""The ledger on a real Redis or Valkey: one Lua script per atomic step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from redis import Redis
from redis.exceptions import ResponseError

from dataworks_tasks.ledger.acknowledged_ranges import AcknowledgedRanges
from dataworks_tasks.ledger.contract import (
    Acknowledgement,
    DocumentFailure,
    FailurePage,
    FinishState,
    Ledger,
    PlanEnd,
    RangeResult,
    RunProgress,
    RunState,
    WorkerReport,
)
from dataworks_tasks.ledger.driver_leases import RedisDriverLeases
from dataworks_tasks.ledger.failure_records import FailureRecords
from dataworks_tasks.ledger.history import RunHistories
from dataworks_tasks.ledger.index_speeds import IndexSpeeds
from dataworks_tasks.ledger.keys import RunKeys
from dataworks_tasks.ledger.planned_slices import PlannedSlices, slice_keys
from dataworks_tasks.ledger.redis_server import (
    RedisFacts,
    RedisMemory,
    read_facts,
    read_memory,
    refuse_cluster,
)
from dataworks_tasks.ledger.redis_steps import RedisSteps, cannot_write_disk
from dataworks_tasks.ledger.run_histories import RedisRunHistories
from dataworks_tasks.ledger.run_limits import RunLimits
from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.ledger.run_progress import read_progress
from dataworks_tasks.ledger.run_records import RunRecords
from dataworks_tasks.ledger.send_window import RedisSendWindows
from dataworks_tasks.ledger.target_claims import TargetClaims
from dataworks_tasks.ledger.windows import DriverLeases, SendWindows
from dataworks_tasks.ledger.worker_registry import WorkerRegistry
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import RunSpec

if TYPE_CHECKING:
    from dataworks_tasks.ledger.final_collection import FinalCollection
    from dataworks_tasks.ledger.key_windows import KeyWindows
    from dataworks_tasks.ledger.run_flags import RunFlags
    from dataworks_tasks.ledger.tokens import ThrottledRate, TokenGrant, TokenRequest

_THROTTLED_LATELY_SECONDS = 30
"""A target counts as throttling if a worker asked for controlled tokens this recently."""


class RedisLedger(Ledger):
    """The ledger on a Redis; ``Ledger`` says what each method promises."""

    def __init__(self, redis: Redis, setting: str = "FRAMEWORK_BROKER_URL") -> None:
        """Use ``redis``; ``setting`` names where its address was set, for messages."""
        self._steps = RedisSteps(redis, setting)
        self._runs = RunRecords(self._steps)
        self._ranges = AcknowledgedRanges(self._steps)
        self._slices = PlannedSlices(self._steps)
        self._failures = FailureRecords(self._steps)
        self.windows: SendWindows = RedisSendWindows(self._steps)
        self.workers = WorkerRegistry(self._steps)
        self.driver: DriverLeases = RedisDriverLeases(self._steps)
        self.history: RunHistories = RedisRunHistories(self._steps)
        self.index_speeds = IndexSpeeds(self._steps)
        self.targets = TargetClaims(self._steps)

    @cached_property
    def key_windows(self) -> KeyWindows:
        """Claims and key windows; most commands have none."""
        from dataworks_tasks.ledger.key_window_ledger import KeyWindowLedger

        return KeyWindowLedger(self._steps, self._ranges)

    def close(self) -> None:
        """Close the connections."""
        self._steps.redis.close()

    def ping(self) -> None:
        """Reach the server; raises LedgerUnavailable or SettingsError when it cannot be used.

        A server whose disk is full refuses even PING, and can be read.
        """
        redis = self._steps.redis

        def reach() -> None:
            try:
                redis.ping()
            except ResponseError as error:
                if not cannot_write_disk(error):
                    raise

        self._steps.guard("", reach)
        self._steps.guard("", lambda: refuse_cluster(redis))

    def memory(self) -> RedisMemory:
        return read_memory(self._steps)

    def server_facts(self) -> RedisFacts:
        """Return what the server reports about itself; ``unknown`` if the user may not ask."""
        return read_facts(self._steps)

    def create(
        self, spec: RunSpec, total: int | None, queue: str = "", steps: Sequence[str] = ()
    ) -> None:
        self._runs.create(spec, total, queue, steps)

    def spec(self, run_id: str) -> RunSpec:
        return self._runs.spec(run_id)

    def run_ids(self) -> list[str]:
        return self._runs.run_ids()

    def named_run(self, name: str) -> str | None:
        return self._runs.named(name)

    def name_run(self, name: str, run_id: str, seconds: float) -> str:
        return self._runs.name(name, run_id, seconds)

    def forget(self, run_id: str) -> None:
        self.targets.release(run_id)
        self._runs.forget(run_id)

    def state(self, run_id: str) -> RunState:
        return self._runs.state(run_id)

    def states(self) -> dict[str, RunState]:
        return self._runs.states()

    def change_state(
        self,
        run_id: str,
        expected: frozenset[RunState],
        new: RunState,
        error: str | None = None,
    ) -> bool:
        return self._runs.change_state(run_id, expected, new, error)

    def note_error(self, run_id: str, error: str) -> None:
        self._runs.note_error(run_id, error)

    def limits(self, run_id: str) -> RunLimits | None:
        return self._runs.limits(run_id)

    def change_limits(self, run_id: str, limits: RunLimits) -> bool:
        return self._runs.change_limits(run_id, limits)

    def keep_flags(self, run_id: str, flags: RunFlags) -> None:
        self._runs.keep_flags(run_id, flags)

    def set_notes(self, run_id: str, topic: NoteTopic, notes: Sequence[RunNote]) -> None:
        self._runs.set_notes(run_id, topic, notes)

    def record_final_collections(self, run_id: str, collections: Sequence[FinalCollection]) -> None:
        self._runs.record_final_collections(run_id, collections)

    def final_collections(self, run_id: str) -> tuple[FinalCollection, ...]:
        return self._runs.final_collections(run_id)

    def acknowledge(
        self,
        run_id: str,
        done: BatchRange,
        result: RangeResult,
        worker: WorkerReport | None = None,
        expected_slice: bytes = b"",
    ) -> Acknowledgement:
        if done.size <= 0 or done.start < 0:
            raise ValueError(f"{done} is empty or negative")
        if not self._runs.is_sliced(run_id):
            return self._ranges.acknowledge(run_id, done, result, worker)
        keys = slice_keys(run_id, done)
        return self._ranges.acknowledge(run_id, done, result, worker, keys, expected_slice)

    def checkpoint_slice(
        self,
        run_id: str,
        number: int,
        result: RangeResult,
        expected_slice: bytes,
        rest: bytes,
        worker: WorkerReport | None = None,
    ) -> bool:
        return self._ranges.checkpoint_slice(run_id, number, result, expected_slice, rest, worker)

    def record_failures(self, run_id: str, failures: Sequence[DocumentFailure]) -> None:
        self._failures.record(run_id, failures)

    def failures(self, run_id: str) -> Iterator[DocumentFailure]:
        return self._failures.all(run_id)

    def failure_page(self, run_id: str, cursor: int = 0) -> FailurePage:
        return self._failures.page(run_id, cursor)

    def failed_ranges(self, run_id: str) -> tuple[BatchRange, ...]:
        return self._failures.ranges(run_id)

    def set_going(
        self,
        run_id: str,
        expected: frozenset[RunState],
        queue: str = "",
        steps: Sequence[str] = (),
    ) -> bool:
        return self._runs.set_going(run_id, expected, queue, steps)

    def reopen_failed(self, run_id: str, queue: str = "", steps: Sequence[str] = ()) -> int:
        return self._failures.reopen(run_id, queue, steps)

    def gaps(self, run_id: str, within: BatchRange | None = None) -> Iterator[BatchRange]:
        return self._ranges.gaps(run_id, within)

    def progress(self, run_id: str) -> RunProgress:
        return read_progress(self._steps, run_id)

    def append_slices(
        self,
        run_id: str,
        end: PlanEnd,
        slices: Sequence[bytes],
        expected: int,
        by_collection: Mapping[str, int] = MappingProxyType({}),
        collections: Sequence[int] = (),
    ) -> None:
        self._slices.append(run_id, end, slices, expected, by_collection, collections)

    def slice_collections(self, run_id: str) -> Sequence[int]:
        return self._slices.collections(run_id)

    def close_plan(self, run_id: str, end: PlanEnd) -> bool:
        return self._slices.close(run_id, end)

    def slices(self, run_id: str, wanted: BatchRange) -> dict[int, bytes]:
        return self._slices.read(run_id, wanted)

    def plan_end(self, run_id: str) -> PlanEnd:
        return self._slices.end(run_id)

    def count_attempt(self, run_id: str, subject: str) -> int:
        return self._runs.count_attempt(run_id, subject)

    def forget_attempts(self, run_id: str, subject: str) -> None:
        self._runs.forget_attempts(run_id, subject)

    def acquire_finish_lease(
        self, run_id: str, holder: str, seconds: float, state: FinishState | None = None
    ) -> str | None:
        return self._runs.acquire_finish_lease(run_id, holder, seconds, state)

    def take_tokens(self, run_id: str, request: TokenRequest) -> TokenGrant:
        from dataworks_tasks.ledger.tokens import TokenGrant

        keys = [RunKeys(run_id).budget]
        reply = self._steps.run(run_id, "take_tokens", keys, *request.script_arguments())
        return TokenGrant.from_reply(reply)

    def throttled_rate(self, run_id: str) -> ThrottledRate | None:
        from dataworks_tasks.ledger.tokens import ThrottledRate

        redis, key = self._steps.redis, RunKeys(run_id).budget
        fields = ["rate", "seen_at", "request_units:at"]
        found = self._steps.guard(run_id, lambda: redis.hmget(key, fields))
        rate, seen_at, units_at = cast("list[bytes | None]", found)
        if not rate or not seen_at:
            return None
        seconds, _ = self._steps.guard(run_id, redis.time)
        if seconds - float(seen_at) / 1e6 > _THROTTLED_LATELY_SECONDS:
            return None
        return ThrottledRate(float(rate), in_request_units=units_at is not None)
