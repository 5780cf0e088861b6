"""A Redis database at one moment, to be brought back: as after a crash or a failover."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, Self, cast

from redis import Redis
from redis.client import Pipeline

from dataworks_tasks.ledger.keys import RUNS

_DUMP = """
local run = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
local found = {run and redis.call('HGETALL', 'dataworks:{' .. run .. '}:record') or {}}
for _, key in ipairs(redis.call('KEYS', '*')) do
  found[#found + 1] = {key, redis.call('PTTL', key), redis.call('DUMP', key)}
end
return found
"""


@dataclass(frozen=True)
class Moment:
    """Every key of a database as it was, and what a run's record said then."""

    keys: list[tuple[bytes, int, bytes]]
    record: dict[bytes, bytes]

    @classmethod
    def of(cls, redis: Redis) -> Moment:
        """Return the database now, in one step."""
        fields, *found = cast("list[Any]", redis.eval(_DUMP, 1, RUNS))
        record = dict(zip(fields[::2], fields[1::2], strict=True))
        return cls([tuple(entry) for entry in found], record)

    def bring_back(
        self, redis: Redis, and_change: Callable[[Pipeline], object] = lambda _: None
    ) -> None:
        """Make the database what it was and change it, in one step that workers cannot split."""
        with redis.pipeline(transaction=True) as pipe:
            pipe.flushdb()
            for key, milliseconds, value in self.keys:
                pipe.restore(key, max(0, milliseconds), value)
            and_change(pipe)
            pipe.execute()

    @property
    def stage(self) -> str:
        """How far the run was."""
        planned, total = (self.record.get(name) for name in (b"planned", b"total"))
        state = self.record.get(b"state", b"").decode()
        if state != "running":
            return f"{state} {int(planned or 0) > 0}"
        share = int(self.record[b"acknowledged"]) / max(1, int(total or 1))
        return f"running {int(share * 3) / 3:.2f}"


class Recorder:
    """Keeps the first moment of each stage of a run; a context manager."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._stop = Event()
        self._thread = Thread(target=self._record, daemon=True)
        self.moments: dict[str, Moment] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _record(self) -> None:
        while not self._stop.is_set():
            moment = Moment.of(self._redis)
            if moment.record:
                self.moments.setdefault(moment.stage, moment)


def after_each_call(method: Callable[..., Any], redis: Redis, moments: list[Moment]) -> Any:
    """Wrap ``method`` so that the moment after each call is kept if anything changed."""

    def called(*arguments: Any) -> Any:
        result = method(*arguments)
        moment = Moment.of(redis)
        if not moments or moments[-1].keys != moment.keys:
            moments.append(moment)
        return result

    return called
