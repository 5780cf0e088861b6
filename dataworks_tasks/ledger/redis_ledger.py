"""The ledger on a real Redis or Valkey: one Lua script per atomic step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import Any, TypeVar, cast

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from dataworks_tasks.batch_range import BatchRange
from dataworks_tasks.errors import LedgerUnavailable, SettingsError, TransientError, UnknownName
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.contract import (
    Acknowledgement,
    DocumentFailure,
    FinishState,
    RangeResult,
    RunProgress,
    RunState,
    WorkerReport,
)
from dataworks_tasks.ledger.keys import RUNS, SLICES_PER_KEY, RunKeys
from dataworks_tasks.ledger.tokens import TokenGrant, TokenRequest
from dataworks_tasks.run_spec import RunSpec, read_spec

_ENDED = frozenset({RunState.CANCELLED, RunState.FAILED, RunState.COMPLETE})
_SCRIPTS = (
    "acknowledge",
    "append_slices",
    "change_state",
    "close_plan",
    "hold_finish",
    "note_error",
    "reopen_failed",
    "settle_part",
    "take_tokens",
)
_REPORTED = tuple(field.name for field in fields(WorkerReport))
_PAGE = 1000
_EXPECTED = "expected:"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """A Redis server's name and version, and whether it may lose what the ledger trusts it with."""

    server: str
    version: str
    append_only: bool
    eviction: str


def refuse_cluster(redis: Redis) -> None:
    """Raise SettingsError for a node of a Redis Cluster, where Celery's steps over several keys
    fail. Costs a round trip; a user who may not ask is not asked."""
    try:
        is_cluster = redis.info("cluster").get("cluster_enabled")
    except NoPermissionError:
        return
    if is_cluster:
        raise SettingsError(
            "this Redis is a node of a Redis Cluster, for which Celery has no transport",
            "Name one server without cluster mode, or Sentinels: sentinel://HOST:26379/0?master=X",
        )


class RedisLedger:
    """Implements ``contract.Ledger``; see there for what each method promises."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._sliced: dict[str, bool] = {}

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def ping(self) -> None:
        """Reach the server; raises LedgerUnavailable or SettingsError when it cannot be used."""
        self._guard("", self._redis.ping)
        self._guard("", lambda: refuse_cluster(self._redis))

    def server_facts(self) -> RedisFacts:
        """What the server says of itself; ``unknown`` where the user may not ask."""
        info = self._guard("", self._redis.info)
        return RedisFacts(
            server=str(info.get("server_name", "redis")),
            version=str(info.get("valkey_version", info.get("redis_version", "unknown"))),
            append_only=bool(info.get("aof_enabled", 0)),
            eviction=str(info.get("maxmemory_policy", "unknown")),
        )

    @cached_property
    def _scripts(self) -> Mapping[str, Script]:
        folder = files(__package__)
        return {
            name: self._redis.register_script(folder.joinpath(f"{name}.lua").read_text())
            for name in _SCRIPTS
        }

    def _run(self, run_id: str, script: str, keys: Sequence[str], *arguments: Any) -> Any:
        return self._guard(
            run_id, lambda: self._scripts[script](keys=list(keys), args=list(arguments))
        )

    def _guard(self, run_id: str, step: Callable[[], T]) -> T:
        try:
            return step()
        except (AuthenticationError, NoPermissionError):
            raise SettingsError(
                "Redis refused the user, the password or a command",
                "Check FRAMEWORK_LEDGER_URL and the ACL in docs/security.md",
            ) from None
        except ResponseError as error:
            if "UNKNOWNRUN" in str(error):
                raise unknown_run(run_id) from None
            raise LedgerUnavailable(f"Redis could not store: {_sentence(error)}") from None
        except RedisError as error:
            raise LedgerUnavailable(f"Redis does not answer: {_sentence(error)}") from None

    def create(self, spec: RunSpec, total: int | None) -> None:
        keys = RunKeys(spec.run_id)
        record: dict[str, str | int | float] = {
            "state": RunState.PLANNING if total is None else RunState.RUNNING,
            "planned": total or 0,
            "acknowledged": 0,
            "expected": total if total is not None else 0,
            "created_at": spec.created_at.timestamp(),
        }
        if total is not None:
            record["total"] = total

        def store() -> None:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.set(keys.spec, spec.to_json(), nx=True)
                pipe.hset(keys.record, mapping=_fields(record))
                pipe.execute()
            self._redis.zadd(RUNS, {spec.run_id: spec.created_at.timestamp()})

        failpoint("record.before")
        self._guard(spec.run_id, store)
        failpoint("record.after")

    def spec(self, run_id: str) -> RunSpec:
        text = self._guard(run_id, lambda: self._redis.get(RunKeys(run_id).spec))
        if text is None:
            raise unknown_run(run_id)
        return read_spec(cast("bytes", text))

    def run_ids(self) -> list[str]:
        found = self._guard("", lambda: self._redis.zrevrange(RUNS, 0, -1))
        return [_text(run_id) for run_id in cast("list[bytes]", found)]

    def state(self, run_id: str) -> RunState:
        value = self._guard(run_id, lambda: self._redis.hget(RunKeys(run_id).record, "state"))
        if value is None:
            raise unknown_run(run_id)
        return RunState(_text(cast("bytes", value)))

    def change_state(
        self,
        run_id: str,
        expected: frozenset[RunState],
        new: RunState,
        error: str | None = None,
    ) -> bool:
        ends = "1" if new in _ENDED else "0"
        keys = [RunKeys(run_id).record]
        return bool(self._run(run_id, "change_state", keys, new, error or "", ends, *expected))

    def note_error(self, run_id: str, error: str) -> None:
        self._run(run_id, "note_error", [RunKeys(run_id).record], error)

    def acknowledge(
        self,
        run_id: str,
        done: BatchRange,
        result: RangeResult,
        worker: WorkerReport | None = None,
    ) -> Acknowledgement:
        if done.size <= 0 or done.start < 0:
            raise ValueError(f"{done} is empty or negative")
        if result.rest:
            return self._settle_part(run_id, done, result, worker)
        keys = RunKeys(run_id)
        slice_keys = [keys.parts, *_slice_keys(keys, done)] if self._is_sliced(run_id) else []
        names = [keys.acknowledged, keys.record, keys.counters, keys.failures, keys.failed_ranges]
        failures = [part for failure in result.failures for part in _failure_fields(failure)]
        newly, closed = self._run(
            run_id,
            "acknowledge",
            [*names, keys.workers, *slice_keys],
            done.start,
            done.stop,
            json.dumps(dict(result.counters)),
            *_report_fields(worker),
            SLICES_PER_KEY,
            result.slice,
            *failures,
        )
        return Acknowledgement(int(newly), bool(closed))

    def _settle_part(
        self, run_id: str, done: BatchRange, result: RangeResult, worker: WorkerReport | None
    ) -> Acknowledgement:
        keys = RunKeys(run_id)
        self._run(
            run_id,
            "settle_part",
            [
                *(keys.record, keys.counters, keys.failures, keys.workers, keys.parts),
                keys.slices(done.start),
            ],
            done.start,
            result.slice,
            result.rest,
            json.dumps(dict(result.counters)),
            *_report_fields(worker),
            *(part for failure in result.failures for part in _failure_fields(failure)),
        )
        return Acknowledgement(0, closed_last_gap=False)

    def _is_sliced(self, run_id: str) -> bool:
        known = self._sliced.get(run_id)
        if known is None:
            known = self._sliced[run_id] = self.spec(run_id).is_sliced
        return known

    def record_failures(self, run_id: str, failures: Sequence[DocumentFailure]) -> None:
        fields = dict(_failure_fields(failure) for failure in failures)
        if fields:
            key = RunKeys(run_id).failures
            self._guard(
                run_id,
                lambda: self._redis.hset(key, mapping=_fields(fields)),
            )

    def failures(self, run_id: str) -> Iterator[DocumentFailure]:
        cursor = self._redis.hscan_iter(RunKeys(run_id).failures, count=_PAGE)
        while True:
            entry = self._guard(run_id, lambda: next(cursor, None))
            if entry is None:
                return
            yield DocumentFailure(key=_text(entry[0]), **json.loads(entry[1]))

    def reopen_failed(self, run_id: str) -> int:
        keys = RunKeys(run_id)
        names = [keys.acknowledged, keys.record, keys.counters, keys.failures, keys.failed_ranges]
        return int(self._run(run_id, "reopen_failed", names))

    def gaps(self, run_id: str, within: BatchRange | None = None) -> Iterator[BatchRange]:
        if within is None:
            planned = self._guard(
                run_id, lambda: self._redis.hget(RunKeys(run_id).record, "planned")
            )
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
        before = self._guard(
            run_id, lambda: self._redis.zrevrangebyscore(key, start, "-inf", start=0, num=1)
        )
        yield from map(_interval, cast("list[bytes]", before))
        floor = f"({start}"
        while True:
            low = floor
            page = cast(
                "list[bytes]",
                self._guard(
                    run_id,
                    lambda low=low: self._redis.zrangebyscore(  # type: ignore[misc]
                        key, low, f"({within.stop}", start=0, num=_PAGE
                    ),
                ),
            )
            intervals = [_interval(member) for member in page]
            yield from intervals
            if len(page) < _PAGE:
                return
            floor = f"({intervals[-1].start}"

    def progress(self, run_id: str) -> RunProgress:
        keys = RunKeys(run_id)

        def read() -> list[Any]:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.hgetall(keys.record)
                pipe.zcard(keys.acknowledged)
                pipe.zrange(keys.acknowledged, 0, 0)
                pipe.zrange(keys.acknowledged, -1, -1)
                pipe.hgetall(keys.counters)
                pipe.hlen(keys.failures)
                pipe.hvals(keys.workers)
                return pipe.execute()

        record, intervals, first, last, counters, failures, workers = self._guard(run_id, read)
        if not record:
            raise unknown_run(run_id)
        fields = {_text(k): _text(v) for k, v in record.items() if _text(k) != "last_slice"}
        planned = int(fields["planned"])
        return RunProgress(
            run_id=run_id,
            state=RunState(fields["state"]),
            total=int(fields["total"]) if "total" in fields else None,
            planned=planned,
            acknowledged=int(fields["acknowledged"]),
            gaps=_count_gaps(intervals, first, last, planned),
            counters={_text(name): int(value) for name, value in counters.items()},
            failures=failures,
            created_at=_moment(fields["created_at"]) or datetime.now(UTC),
            finished_at=_moment(fields.get("finished_at")),
            last_acknowledged_at=_moment(fields.get("last_acknowledged_at")),
            last_error=fields.get("error"),
            documents_expected=int(fields["expected"]),
            collections_expected={
                name.removeprefix(_EXPECTED): int(value)
                for name, value in fields.items()
                if name.startswith(_EXPECTED)
            },
            workers=tuple(WorkerReport(**json.loads(report)) for report in workers),
            finishing=fields.get("finishing") or None,
        )

    def append_slices(
        self,
        run_id: str,
        first: int,
        slices: Sequence[bytes],
        expected: int,
        by_collection: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        keys = RunKeys(run_id)
        named = [part for item in by_collection.items() for part in item]
        names = [keys.record, *_slice_keys(keys, BatchRange(first, first + len(slices)))]
        arguments = (first, expected, SLICES_PER_KEY, len(by_collection), *named, *slices)
        if not self._run(run_id, "append_slices", names, *arguments):
            # Also when Redis did it and the answer got lost: planning goes on from what is there.
            raise TransientError(
                f"another producer plans {run_id} at the same time",
                f"Leave it to that one, or watch it: dataworks status {run_id} --watch",
            )

    def close_plan(self, run_id: str, total: int) -> bool:
        states = (RunState.PLANNING, RunState.RUNNING)
        return bool(self._run(run_id, "close_plan", [RunKeys(run_id).record], total, *states))

    def slices(self, run_id: str, wanted: BatchRange) -> dict[int, bytes]:
        keys = RunKeys(run_id)
        found: dict[int, bytes] = {}
        for key in _slice_keys(keys, wanted):
            values = self._guard(run_id, lambda key=key: self._redis.hgetall(key))  # type: ignore[misc]
            for number, value in cast("dict[bytes, bytes]", values).items():
                if wanted.start <= int(number) < wanted.stop:
                    found[int(number)] = value
        return found

    def last_slice(self, run_id: str) -> tuple[int, bytes | None]:
        record = RunKeys(run_id).record
        planned, last = cast(
            "list[bytes | None]",
            self._guard(run_id, lambda: self._redis.hmget(record, ["planned", "last_slice"])),
        )
        if planned is None:
            raise unknown_run(run_id)
        return int(planned), last

    def count_attempt(self, run_id: str, sent: BatchRange) -> int:
        key, field = RunKeys(run_id).attempts, f"{sent.start}:{sent.stop}"
        return self._guard(run_id, lambda: self._redis.hincrby(key, field, 1))

    def hold_finish(
        self, run_id: str, holder: str, seconds: float, state: FinishState | None = None
    ) -> str | None:
        kept = ("0", "", "") if state is None else ("1", state.position, state.shown)
        keys = [RunKeys(run_id).record]
        held, position = self._run(run_id, "hold_finish", keys, holder, f"{seconds:g}", *kept)
        return _text(position) if held else None

    def take_tokens(self, run_id: str, request: TokenRequest) -> TokenGrant:
        reply = self._run(
            run_id, "take_tokens", [RunKeys(run_id).budget], *request.script_arguments()
        )
        return TokenGrant.from_reply(reply)


def _sentence(error: RedisError) -> str:
    """The error's text without its full stop: more follows."""
    return str(error).rstrip(".")


def unknown_run(run_id: str) -> UnknownName:
    """The error for a run that is not on record."""
    return UnknownName(
        f"run {run_id!r} is not on record in this Redis",
        "List the runs with: dataworks runs. If Redis lost it: dataworks resume RUN --rebuild",
    )


def _fields(values: Mapping[str, Any]) -> Mapping[Any, Any]:
    """The mapping as redis-py's invariant annotations want it."""
    return values


def _slice_keys(keys: RunKeys, wanted: BatchRange) -> list[str]:
    first = wanted.start // SLICES_PER_KEY
    last = (wanted.stop - 1) // SLICES_PER_KEY
    return [keys.slices(number * SLICES_PER_KEY) for number in range(first, last + 1)]


def _failure_fields(failure: DocumentFailure) -> tuple[str, str]:
    fields = asdict(failure)
    return fields.pop("key"), json.dumps(fields)


def _report_fields(worker: WorkerReport | None) -> tuple[str, str]:
    if worker is None:
        return "", ""
    return worker.name, json.dumps({name: getattr(worker, name) for name in _REPORTED})


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _interval(member: bytes | str) -> BatchRange:
    start, stop = _text(member).split(":")
    return BatchRange(int(start), int(stop))


def _moment(value: str | None) -> datetime | None:
    return datetime.fromtimestamp(float(value), UTC) if value else None


def _count_gaps(intervals: int, first: Sequence[bytes], last: Sequence[bytes], planned: int) -> int:
    if not intervals:
        return 1 if planned else 0
    ends = (_interval(first[0]).start > 0) + (_interval(last[0]).stop < planned)
    return intervals - 1 + ends
