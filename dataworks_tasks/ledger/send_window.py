"""Which messages of a run are waiting, held by a worker, or to be sent next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from dataworks_tasks.ledger.acknowledged_ranges import interval
from dataworks_tasks.ledger.contract import WORKING
from dataworks_tasks.ledger.keys import RunKeys, due_key, turns_key, wanted_keys
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_text, unknown_run
from dataworks_tasks.ledger.windows import (
    Release,
    Rivals,
    SendWindows,
    TakenRange,
    Taking,
    WindowState,
)
from dataworks_tasks.runs.batch_range import BatchRange

_MOST_WANTED = 1000


class RedisSendWindows(SendWindows):
    """The send windows of the runs on a Redis."""

    def __init__(self, steps: RedisSteps) -> None:
        self._steps = steps
        self._redis = steps.redis
        self._queues: dict[str, str] = {}

    def queue(self, run_id: str) -> str:
        known = self._queues.get(run_id)
        if known is None:
            record = RunKeys(run_id).record
            state, queue = cast(
                "list[bytes | None]",
                self._steps.guard(run_id, lambda: self._redis.hmget(record, ["state", "queue"])),
            )
            if state is None:
                raise unknown_run(run_id)
            known = as_text(queue or b"")
            if known:
                self._queues[run_id] = known
        return known

    def open(self, run_id: str, queue: str, size: int, room: int, processes: int = 0) -> None:
        self._queues[run_id] = queue
        self._run(run_id, "open", size, room, processes, queue)

    def refill(self, run_id: str) -> tuple[BatchRange, ...]:
        return _ranges(self._run(run_id, "refill"))

    def take(
        self, run_id: str, wanted: BatchRange, holder: str, seconds: float, *, dead: bool = False
    ) -> TakenRange:
        arguments = (wanted.start, wanted.stop, holder, f"{seconds:g}", int(dead))
        what, other, deaths, tries, others, *found = self._run(run_id, "take", *arguments)
        return TakenRange(
            Taking(as_text(what)),
            as_text(other),
            int(deaths),
            int(tries),
            int(others),
            _ranges(found),
        )

    def keep(self, run_id: str, start: int, holder: str, seconds: float) -> bool:
        (kept,) = self._run(run_id, "keep", start, holder, f"{seconds:g}")
        return as_text(kept) == "1"

    def release(
        self, run_id: str, start: int, holder: str, release: Release
    ) -> tuple[BatchRange, ...]:
        rests = [f"{rest.start}:{rest.stop}" for rest in release.rests]
        flags = (int(release.progressed), int(release.failed))
        arguments = (start, holder, *flags, f"{release.delay:.6f}", int(release.parks), *rests)
        return _ranges(self._run(run_id, "release", *arguments))

    def probe(self, run_id: str) -> None:
        self._run(run_id, "probe")

    def look(self, run_id: str) -> WindowState:
        reply = self._run(run_id, "look")
        state, planned, size, sent, now, parked, takes, suspects, hands, *ranges = reply
        found = _ranges(ranges)
        return WindowState(
            as_text(state) in WORKING,
            int(planned),
            int(size),
            int(sent),
            float(now),
            float(parked),
            int(takes),
            _ranges(as_text(suspects).split()),
            found[: int(hands)],
            found[int(hands) :],
        )

    def in_hand(self, run_id: str) -> tuple[BatchRange, ...]:
        key = RunKeys(run_id).hands
        found = self._steps.guard(run_id, lambda: self._redis.hgetall(key))
        hands = cast("dict[bytes, bytes]", found)
        stops = {int(start): int(as_text(hand).partition("|")[0]) for start, hand in hands.items()}
        return tuple(sorted(BatchRange(start, stop) for start, stop in stops.items()))

    def correct(
        self, run_id: str, room: int, suspects: Sequence[BatchRange], lost: Sequence[BatchRange]
    ) -> tuple[BatchRange, ...]:
        kept = " ".join(f"{piece.start}:{piece.stop}" for piece in suspects)
        again = [f"{piece.start}:{piece.stop}" for piece in lost]
        return _ranges(self._run(run_id, "correct", room, kept, *again))

    def rivals(self, run_id: str) -> Rivals:
        state, others, takes = self._run(run_id, "others")
        return Rivals(as_text(state) in WORKING, int(others), int(takes))

    def want(self, run_id: str, processes: int) -> None:
        keys = wanted_keys(self.queue(run_id))
        self._steps.run(run_id, "want_processes", keys, run_id, processes, _MOST_WANTED)

    def served_before(self, run_id: str) -> list[str]:
        keys, turns = RunKeys(run_id), turns_key(self.queue(run_id))

        def ask() -> list[bytes]:
            if self._redis.hlen(keys.hands):
                return []
            seconds, _ = self._redis.time()
            return cast("list[bytes]", self._redis.zrangebyscore(turns, "-inf", seconds))

        found = [as_text(member) for member in self._steps.guard(run_id, ask)]
        return [other for other in found if other != run_id] if run_id in found else []

    def _run(self, run_id: str, command: str, *arguments: object) -> list[bytes]:
        keys, queue = RunKeys(run_id), self.queue(run_id)
        names = [
            keys.record,
            keys.window,
            keys.hands,
            keys.rests,
            keys.acknowledged,
            keys.attempts,
            turns_key(queue),
            due_key(queue),
        ]
        reply = self._steps.run(run_id, "send_window", names, command, run_id, *arguments)
        return cast("list[bytes]", reply)


def _ranges(members: Sequence[bytes | str]) -> tuple[BatchRange, ...]:
    return tuple(interval(member) for member in members)
