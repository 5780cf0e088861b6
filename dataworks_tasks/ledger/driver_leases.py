"""Who drives which run, and what is due: leases on the steps of run drivers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from dataworks_tasks.ledger.keys import RunKeys, due_key, turns_key
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_text
from dataworks_tasks.ledger.windows import DriverLeases, DueStep

_PARTS = 2
"""A run and a step."""


class RedisDriverLeases(DriverLeases):
    """The leases of the runs' drivers on a Redis."""

    def __init__(self, steps: RedisSteps) -> None:
        self._steps = steps
        self._redis = steps.redis

    def schedule(self, run_id: str, queue: str, steps: Sequence[str], seconds: float) -> None:
        now = self._now()
        due = {f"{run_id} {step}": now + seconds for step in steps}
        if due:
            self._steps.guard(run_id, lambda: self._redis.zadd(due_key(queue), due))

    def claim(self, queue: str, most: int, seconds: float) -> list[DueStep]:
        found = self._steps.run("", "claim_due", [due_key(queue)], most, f"{seconds:g}")
        named = [as_text(member).split(" ") for member in cast("list[bytes]", found)]
        # Anyone who can write to Redis can put anything there; entries that do not name a step are
        # ignored.
        return [DueStep(*parts) for parts in named if len(parts) == _PARTS]

    def hold(
        self,
        due: DueStep,
        queue: str,
        holder: str,
        seconds: float,
        position: str | None = None,
        due_again: float | None = None,
    ) -> str | None:
        keys = RunKeys(due.run_id)
        kept = ("0", "") if position is None else ("1", position)
        again = "" if due_again is None else f"{due_again:.6f}"
        names = [keys.record, keys.steps, due_key(queue)]
        arguments = (due.run_id, due.step, holder, f"{seconds:g}", *kept, again)
        held, found = self._steps.run(due.run_id, "hold_step", names, *arguments)
        return as_text(found) if held else None

    def is_held(self, due: DueStep) -> bool:
        key, name = RunKeys(due.run_id).steps, f"{due.step}:until"
        until = self._steps.guard(due.run_id, lambda: self._redis.hget(key, name))
        return until is not None and float(cast("bytes", until)) > self._now()

    def forget(self, due: DueStep, queue: str) -> None:
        key, turns = due_key(queue), turns_key(queue)

        def remove() -> None:
            self._redis.zrem(key, f"{due.run_id} {due.step}")
            self._redis.zrem(turns, due.run_id)

        self._steps.guard(due.run_id, remove)

    def may_send_finish(self, run_id: str, seconds: float) -> bool:
        keys = RunKeys(run_id)

        def ask() -> bool:
            until = cast("bytes | None", self._redis.hget(keys.record, "finish_until"))
            if until is not None and float(until) > self._now():
                return False
            return bool(self._redis.set(keys.finish_sent, 1, nx=True, px=round(seconds * 1000)))

        return self._steps.guard(run_id, ask)

    def _now(self) -> float:
        seconds, micros = self._steps.guard("", self._redis.time)
        return seconds + micros / 1_000_000
