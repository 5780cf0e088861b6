"""The recorded runs: their specs, their states, and who holds the finish lease."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import cast

from dataworks_tasks.errors import UsageError
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.contract import FINISHED, FinishState, RunState
from dataworks_tasks.ledger.final_collection import (
    FinalCollection,
    final_collection_to_json,
    read_final_collections,
)
from dataworks_tasks.ledger.keys import (
    NAMES,
    RUNS,
    SLICES_PER_KEY,
    RunKeys,
    due_key,
    due_members,
    turns_key,
    wanted_keys,
)
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_text, unknown_run
from dataworks_tasks.ledger.run_flags import RunFlags
from dataworks_tasks.ledger.run_limits import RunLimits
from dataworks_tasks.ledger.run_note import NoteTopic, RunNote, notes_to_json
from dataworks_tasks.runs.later_pairs import LATER, with_later_pairs
from dataworks_tasks.runs.read_spec import read_spec
from dataworks_tasks.runs.spec import RunSpec

_DELETED_AT_ONCE = 1000
_ENDED = FINISHED | {RunState.CANCELLED, RunState.FAILED}


class RunRecords:
    """The records of runs in Redis; ``contract.Ledger`` describes each method."""

    def __init__(self, steps: RedisSteps) -> None:
        self._steps = steps
        self._redis = steps.redis
        self._sliced: dict[str, bool] = {}

    def create(self, spec: RunSpec, total: int | None, queue: str, steps: Sequence[str]) -> None:
        """Record a run, and make the steps of its driver due; a repeated call changes nothing."""
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
        if queue:
            record["queue"] = queue

        fields = list(chain.from_iterable(record.items()))
        names = [keys.record, keys.spec, RUNS, due_key(queue), *keys.all]
        arguments = (spec.run_id, spec.to_json(), spec.created_at.timestamp(), len(fields))
        due = due_members(spec.run_id, steps)
        failpoint("record.before")
        if not self._steps.run(spec.run_id, "create_run", names, *arguments, *fields, *due):
            raise UsageError(
                f"another run has the id {spec.run_id}",
                "Repeat the command: each start draws a new id",
            )
        failpoint("record.after")

    def spec(self, run_id: str) -> RunSpec:
        """Return the run's spec, with the collections that were added since it started."""
        keys = RunKeys(run_id)

        def read() -> list[bytes | None]:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.get(keys.spec)
                pipe.hget(keys.record, LATER)
                return pipe.execute()

        text, later = self._steps.guard(run_id, read)
        if text is None:
            raise unknown_run(run_id)
        return with_later_pairs(read_spec(text), later or b"")

    def is_sliced(self, run_id: str) -> bool:
        """Return whether the run has slices; read once for each run."""
        known = self._sliced.get(run_id)
        if known is None:
            known = self._sliced[run_id] = self.spec(run_id).is_sliced
        return known

    def run_ids(self) -> list[str]:
        """Return all runs, newest first."""
        found = self._steps.guard("", lambda: self._redis.zrevrange(RUNS, 0, -1))
        return [as_text(run_id) for run_id in cast("list[bytes]", found)]

    def named(self, name: str) -> str | None:
        """Return the id of the run that has the name, whether it is recorded or being started."""
        found = self._steps.guard("", lambda: self._redis.hget(NAMES, name))
        return None if found is None else as_text(cast("bytes", found)).partition(" ")[0]

    def name(self, name: str, run_id: str, seconds: float) -> str:
        """Give the run its name; return the id of the run that has it."""
        return as_text(self._steps.run(run_id, "name_run", [NAMES], name, run_id, f"{seconds:g}"))

    def forget(self, run_id: str) -> None:
        """Delete everything about the run; its record and its place in the list come last."""
        keys = RunKeys(run_id)
        planned, queue = cast(
            "list[bytes | None]",
            self._steps.guard(run_id, lambda: self._redis.hmget(keys.record, ["planned", "queue"])),
        )
        slices = [keys.slices(first) for first in range(0, int(planned or 0) + 1, SLICES_PER_KEY)]
        names = cast(
            "dict[bytes, bytes]", self._steps.guard("", lambda: self._redis.hgetall(NAMES))
        )
        own = [name for name, value in names.items() if as_text(value).startswith(f"{run_id} ")]

        def delete() -> None:
            for first in range(0, len(slices), _DELETED_AT_ONCE):
                self._redis.delete(*slices[first : first + _DELETED_AT_ONCE])
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(*keys.all, keys.record)
                pipe.zrem(RUNS, run_id)
                if queue:
                    pipe.zrem(turns_key(as_text(queue)), run_id)
                    pipe.hdel(wanted_keys(as_text(queue))[0], run_id)
                if own:
                    pipe.hdel(NAMES, *own)
                pipe.execute()

        self._steps.guard(run_id, delete)

    def state(self, run_id: str) -> RunState:
        """Return the run's state."""
        record = RunKeys(run_id).record
        value = self._steps.guard(run_id, lambda: self._redis.hget(record, "state"))
        if value is None:
            raise unknown_run(run_id)
        return RunState(as_text(cast("bytes", value)))

    def states(self) -> dict[str, RunState]:
        """Return the state of every run, newest first."""
        run_ids = self.run_ids()

        def read() -> list[bytes | None]:
            with self._redis.pipeline(transaction=False) as pipe:
                for run_id in run_ids:
                    pipe.hget(RunKeys(run_id).record, "state")
                return pipe.execute()

        found = zip(run_ids, self._steps.guard("", read), strict=True)
        return {run_id: RunState(as_text(state)) for run_id, state in found if state is not None}

    def change_state(
        self,
        run_id: str,
        expected: frozenset[RunState],
        new: RunState,
        error: str | None = None,
    ) -> bool:
        """Set the state if it is one of ``expected``."""
        ends = "1" if new in _ENDED else "0"
        keys = [RunKeys(run_id).record, RunKeys(run_id).budget]
        changed = self._steps.run(run_id, "change_state", keys, new, error or "", ends, *expected)
        return bool(changed)

    def set_going(
        self, run_id: str, expected: frozenset[RunState], queue: str, steps: Sequence[str]
    ) -> bool:
        """Start or continue a run that is in one of the ``expected`` states."""
        keys = RunKeys(run_id)
        names = [keys.record, due_key(queue), keys.budget]
        states = (RunState.PLANNING, RunState.RUNNING, len(expected), *expected)
        arguments = (int(self.is_sliced(run_id)), *states, *due_members(run_id, steps))
        return bool(self._steps.run(run_id, "set_going", names, *arguments))

    def note_error(self, run_id: str, error: str) -> None:
        """Keep the latest error that did not stop the run."""
        self._steps.run(run_id, "note_error", [RunKeys(run_id).record], error)

    def limits(self, run_id: str) -> RunLimits | None:
        """Return the limits that were set while the run ran."""
        record = RunKeys(run_id).record
        found = self._steps.guard(run_id, lambda: self._redis.hget(record, "limits"))
        return RunLimits.from_json(as_text(cast("bytes", found))) if found else None

    def change_limits(self, run_id: str, limits: RunLimits) -> bool:
        """Replace the limits of a run that is not over."""
        over = (*FINISHED, RunState.CANCELLED)
        keys = [RunKeys(run_id).record]
        return bool(self._steps.run(run_id, "change_limits", keys, limits.to_json(), *over))

    def keep_flags(self, run_id: str, flags: RunFlags) -> None:
        """Replace the flags of the command that started or continued the run."""
        self._steps.run(run_id, "keep_flags", [RunKeys(run_id).record], flags.to_json())

    def set_notes(self, run_id: str, topic: NoteTopic, notes: Sequence[RunNote]) -> None:
        """Replace the run's notes of a topic."""
        keys = RunKeys(run_id)
        kept = notes_to_json(notes) if notes else ""
        self._steps.run(run_id, "set_notes", [keys.record, keys.notes], topic.value, kept)

    def record_final_collections(self, run_id: str, collections: Sequence[FinalCollection]) -> None:
        """Record what the databases held of each collection."""
        keys = RunKeys(run_id)
        kept = [(one.target.name, final_collection_to_json(one)) for one in collections]
        names = [keys.record, keys.collections]
        self._steps.run(run_id, "set_notes", names, *chain.from_iterable(kept))

    def final_collections(self, run_id: str) -> tuple[FinalCollection, ...]:
        """Return what the databases held of each collection when the run ended."""
        key = RunKeys(run_id).collections
        found = self._steps.guard(run_id, lambda: self._redis.hgetall(key))
        kept = cast("dict[bytes, bytes]", found)
        texts = {as_text(name): as_text(text) for name, text in kept.items()}
        return read_final_collections(texts)

    def count_attempt(self, run_id: str, subject: str) -> int:
        """Count an attempt at ``subject``; return how many there were."""
        key = RunKeys(run_id).attempts
        return self._steps.guard(run_id, lambda: self._redis.hincrby(key, subject, 1))

    def forget_attempts(self, run_id: str, subject: str) -> None:
        """Count the attempts at ``subject`` from the beginning."""
        key = RunKeys(run_id).attempts
        self._steps.guard(run_id, lambda: self._redis.hdel(key, subject))

    def acquire_finish_lease(
        self, run_id: str, holder: str, seconds: float, state: FinishState | None = None
    ) -> str | None:
        """Acquire, extend or release the run's finish lease."""
        kept = ("0", "", "") if state is None else ("1", state.position, state.shown)
        keys = [RunKeys(run_id).record]
        held, position = self._steps.run(
            run_id, "acquire_finish_lease", keys, holder, f"{seconds:g}", *kept
        )
        return as_text(position) if held else None
