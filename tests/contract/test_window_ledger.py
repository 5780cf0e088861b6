"""Claims and key windows: one holder at a time, and nothing lost between two steps."""

from __future__ import annotations

import time

import pytest
from redis import Redis

from dataworks_tasks.errors import TransientError, UnknownName
from dataworks_tasks.ledger.contract import (
    DocumentFailure,
    PlanEnd,
    RangeResult,
    RunState,
)
from dataworks_tasks.ledger.key_windows import (
    Append,
    ClaimGrant,
    ClaimRequest,
    CompletedKeys,
    Place,
    WindowOutcome,
)
from dataworks_tasks.ledger.keys import RunKeys
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.batch_range import BatchRange
from tests.contract.contract_support import migration_spec

LATE_SECONDS = 40.0
nothing = RangeResult({})


@pytest.fixture
def run_id(ledger: RedisLedger) -> str:
    """Return a run with two windows, whose plan is open."""
    spec = migration_spec()
    ledger.create(spec, None)
    ledger.key_windows.append(spec.run_id, Append([b"zero", b"one"]))
    return spec.run_id


def wanted(number: int, data: bytes, holder: str, seconds: float = 60.0) -> ClaimRequest:
    return ClaimRequest(number, data, holder, seconds, LATE_SECONDS)


def claimed(
    ledger: RedisLedger, run_id: str, number: int, data: bytes, holder: str, seconds: float = 60.0
) -> ClaimGrant:
    grant = ledger.key_windows.claim(run_id, wanted(number, data, holder, seconds))
    assert grant is not None
    return grant


def outcome(grant: ClaimGrant, holder: str, late: float = 0.0, **more: object) -> WindowOutcome:
    return WindowOutcome(grant.claim, holder, late, **more)  # type: ignore[arg-type]


def acknowledge(
    ledger: RedisLedger, run_id: str, number: int, data: bytes, window: WindowOutcome
) -> int:
    keys = CompletedKeys(number, data, RangeResult({"keys": 2}), window)
    return ledger.key_windows.checkpoint(run_id, keys).newly


def wait_for_the_end(ledger: RedisLedger, run_id: str, data: bytes, holder: str) -> ClaimGrant:
    deadline = time.monotonic() + 10
    while (grant := ledger.key_windows.claim(run_id, wanted(0, data, holder))) is None:
        assert time.monotonic() < deadline
    return grant


def test_one_holder_at_a_time(ledger: RedisLedger, run_id: str) -> None:
    first = claimed(ledger, run_id, 0, b"zero", "a")
    assert ledger.key_windows.claim(run_id, wanted(0, b"zero", "b")) is None
    assert ledger.key_windows.extend(run_id, wanted(0, b"zero", "a"), first.claim)
    assert not ledger.key_windows.extend(run_id, wanted(0, b"zero", "b"), first.claim)
    ledger.key_windows.give_back(run_id, wanted(0, b"zero", "a"), first.claim, unanswered=False)
    second = claimed(ledger, run_id, 0, b"zero", "b")
    assert second.claim > first.claim
    assert not second.suspect
    assert not ledger.key_windows.extend(run_id, wanted(0, b"zero", "a"), first.claim)
    assert acknowledge(ledger, run_id, 0, b"zero", outcome(first, "a")) == 0
    assert acknowledge(ledger, run_id, 0, b"zero", outcome(second, "b")) == 1
    assert acknowledge(ledger, run_id, 0, b"zero", outcome(second, "b")) == 0
    assert ledger.key_windows.claim(run_id, wanted(0, b"zero", "c")) is None


def test_a_silent_holder_loses_its_window_which_is_done_twice(
    ledger: RedisLedger, run_id: str
) -> None:
    silent = claimed(ledger, run_id, 0, b"zero", "a", seconds=0.05)
    taken = wait_for_the_end(ledger, run_id, b"zero", "b")
    assert taken.suspect
    assert not ledger.key_windows.extend(run_id, wanted(0, b"zero", "a"), silent.claim)
    assert acknowledge(ledger, run_id, 0, b"zero", outcome(silent, "a", LATE_SECONDS)) == 0
    assert acknowledge(ledger, run_id, 0, b"zero", outcome(taken, "b", LATE_SECONDS)) == 1
    status = ledger.key_windows.status(run_id)
    assert status.deferred == 1
    assert status.suspect_until > ledger.key_windows.now() + LATE_SECONDS / 2
    assert ledger.key_windows.append(run_id, Append(due=10)) == 0


def test_a_deferred_window_comes_back_when_it_is_due(ledger: RedisLedger, run_id: str) -> None:
    grant = claimed(ledger, run_id, 0, b"zero", "a")
    acknowledge(ledger, run_id, 0, b"zero", outcome(grant, "a", 0.001, unanswered=True))
    deadline = time.monotonic() + 10
    while not ledger.key_windows.append(run_id, Append(due=10)):
        assert time.monotonic() < deadline
    assert ledger.slices(run_id, BatchRange(0, 9)) == {1: b"one", 2: b"zero"}
    assert ledger.key_windows.status(run_id).deferred == 0


def test_a_window_that_workers_died_of_comes_back_in_its_parts_only(
    ledger: RedisLedger, run_id: str
) -> None:
    claimed(ledger, run_id, 0, b"zero", "a", seconds=0.05)
    taken = wait_for_the_end(ledger, run_id, b"zero", "b")
    split = outcome(taken, "b", LATE_SECONDS, appended=[b"left", b"right"], isolated=True)
    assert acknowledge(ledger, run_id, 0, b"zero", split) == 1
    assert ledger.slices(run_id, BatchRange(0, 9)) == {1: b"one", 2: b"left", 3: b"right"}
    assert ledger.key_windows.status(run_id).deferred == 0, "it would kill workers again"
    part = claimed(ledger, run_id, 2, b"left", "b")
    assert part.suspect, "a write of the dead holder may be of this part"
    assert acknowledge(ledger, run_id, 2, b"left", outcome(part, "b", LATE_SECONDS)) == 1
    assert ledger.key_windows.status(run_id).deferred == 1
    other = claimed(ledger, run_id, 3, b"right", "b")
    alone = outcome(other, "b", LATE_SECONDS, isolated=True)
    assert acknowledge(ledger, run_id, 3, b"right", alone) == 1
    assert ledger.key_windows.status(run_id).deferred == 1, "a failure is not tried again"


def test_a_redis_that_forgot_makes_windows_suspect(
    redis: Redis, ledger: RedisLedger, run_id: str
) -> None:
    before = redis.dump(RunKeys(run_id).record)
    assert before is not None
    forgotten = claimed(ledger, run_id, 0, b"zero", "a")
    forgotten_at = ledger.key_windows.now()
    while ledger.key_windows.now() < forgotten_at + 0.002:
        pass  # a Redis that starts again takes longer
    redis.restore(RunKeys(run_id).record, 0, before, replace=True)
    redis.delete(RunKeys(run_id).claims)
    again = claimed(ledger, run_id, 0, b"zero", "b")
    assert again.claim > forgotten.claim, "a number that repeats would not be executed"
    assert again.suspect
    assert claimed(ledger, run_id, 1, b"one", "b").suspect
    assert acknowledge(ledger, run_id, 0, b"zero", outcome(forgotten, "a")) == 0


def test_keys_that_changed_are_appended_with_the_acknowledgement(
    ledger: RedisLedger, run_id: str
) -> None:
    grant = claimed(ledger, run_id, 0, b"zero", "a")
    window = outcome(grant, "a", appended=[b"two"], hot=[(b"key", 3)])
    assert acknowledge(ledger, run_id, 0, b"zero", window) == 1
    assert ledger.slices(run_id, BatchRange(0, 9)) == {1: b"one", 2: b"two"}
    assert ledger.key_windows.hot_keys(run_id) == {b"key": 3}
    assert ledger.progress(run_id).counters == {"keys": 2}
    assert ledger.key_windows.append(run_id, Append([b"hot"], hot_keys=[b"key"])) == 1
    assert ledger.key_windows.hot_keys(run_id) == {}
    assert list(ledger.gaps(run_id)) == [BatchRange(1, 4)]


def test_a_closed_plan_grows_with_its_windows(ledger: RedisLedger, run_id: str) -> None:
    ledger.close_plan(run_id, PlanEnd(2))
    first, second = (
        claimed(ledger, run_id, number, data, "a") for number, data in enumerate([b"zero", b"one"])
    )
    acknowledge(ledger, run_id, 1, b"one", outcome(second, "a"))
    acknowledge(ledger, run_id, 0, b"zero", outcome(first, "a", appended=[b"two"]))
    assert ledger.progress(run_id).total == 3
    last = claimed(ledger, run_id, 2, b"two", "a")
    keys = CompletedKeys(2, b"two", RangeResult({}), outcome(last, "a"))
    closing = ledger.key_windows.checkpoint(run_id, keys)
    assert (closing.newly, closing.closed_last_gap) == (1, True)
    assert list(ledger.gaps(run_id)) == []


def test_the_last_window_does_not_close_a_run_with_deferred_ones(
    ledger: RedisLedger, run_id: str
) -> None:
    ledger.close_plan(run_id, PlanEnd(2))
    for number, data in enumerate([b"zero", b"one"]):
        grant = claimed(ledger, run_id, number, data, "a")
        window = outcome(grant, "a", LATE_SECONDS, unanswered=True)
        keys = CompletedKeys(number, data, RangeResult({}), window)
        done = ledger.key_windows.checkpoint(run_id, keys)
        assert (done.newly, done.closed_last_gap) == (1, False)


def test_failures_are_replaced_and_cleared_by_key(ledger: RedisLedger, run_id: str) -> None:
    first = claimed(ledger, run_id, 0, b"zero", "a")
    failures = [DocumentFailure(key, key, "c.d", "too large") for key in ("x", "y")]
    keys = CompletedKeys(0, b"zero", RangeResult({}, failures), outcome(first, "a"))
    ledger.key_windows.checkpoint(run_id, keys)
    second = claimed(ledger, run_id, 1, b"one", "a")
    other = DocumentFailure("y", "y", "c.d", "refused by the validator")
    window = outcome(second, "a", cleared=["x"])
    keys = CompletedKeys(1, b"one", RangeResult({}, [other]), window)
    ledger.key_windows.checkpoint(run_id, keys)
    assert list(ledger.failures(run_id)) == [other]
    assert ledger.slices(run_id, BatchRange(0, 2)) == {}, "windows with failures are not kept"


def test_two_readers_do_not_mix(ledger: RedisLedger, run_id: str) -> None:
    def read(before: bytes, after: bytes, *windows: bytes) -> int | None:
        return ledger.key_windows.append(run_id, Append(windows, Place("position", before, after)))

    assert ledger.key_windows.place(run_id, "position") == b""
    assert read(b"", b"t1", b"two", b"three") == 2
    assert read(b"", b"t1", b"two", b"three") is None
    assert read(b"t0", b"t2", b"four") is None
    assert read(b"t1", b"t2") == 0
    assert ledger.key_windows.place(run_id, "position") == b"t2"
    assert ledger.plan_end(run_id).planned == 4


def test_nothing_is_appended_or_acknowledged_after_the_end(
    redis: Redis, ledger: RedisLedger, run_id: str
) -> None:
    grant = claimed(ledger, run_id, 0, b"zero", "a")
    redis.hset(RunKeys(run_id).record, "state", RunState.COMPLETE)
    assert ledger.key_windows.append(run_id, Append([b"two"])) is None
    assert acknowledge(ledger, run_id, 0, b"zero", outcome(grant, "a")) == 0


def test_a_run_that_nobody_knows(ledger: RedisLedger) -> None:
    with pytest.raises(UnknownName):
        ledger.key_windows.claim("mig-gone", wanted(0, b"", "a"))
    with pytest.raises(UnknownName):
        ledger.key_windows.append("mig-gone", Append([b"x"]))


def test_a_copy_is_done_when_no_write_of_a_lost_holder_may_arrive(ledger: RedisLedger) -> None:
    spec = migration_spec()
    run_id = spec.run_id
    ledger.create(spec, None)
    ledger.append_slices(run_id, PlanEnd(), [b"zero"], 1)
    assert not ledger.key_windows.is_copied(run_id)
    ledger.key_windows.close_copy(run_id, PlanEnd(1, b"zero"), 0.3)
    assert not ledger.key_windows.is_copied(run_id)
    held = claimed(ledger, run_id, 0, b"zero", "a", seconds=0.1)
    ledger.acknowledge(run_id, BatchRange(0, 1), nothing, None, b"zero")
    assert not ledger.key_windows.is_copied(run_id), "its holder may still write"
    assert held.claim
    deadline = time.monotonic() + 10
    while not ledger.key_windows.is_copied(run_id):
        assert time.monotonic() < deadline
    ledger.key_windows.append(run_id, Append([b"window"]))
    claimed(ledger, run_id, 1, b"window", "b")
    assert ledger.key_windows.is_copied(run_id), "windows do not hold the copy up"


def test_a_planner_neither_closes_nor_extends_a_copy_that_is_not_its_own(
    ledger: RedisLedger,
) -> None:
    """Redis lost the second slice of a planner that was suspended, and another one has begun."""
    spec = migration_spec()
    run_id = spec.run_id
    ledger.create(spec, None)
    ledger.append_slices(run_id, PlanEnd(), [b"zero"], 1)
    for stale in (PlanEnd(2, b"one"), PlanEnd(1, b"other bounds"), PlanEnd()):
        with pytest.raises(TransientError, match="or Redis lost"):
            ledger.key_windows.close_copy(run_id, stale, 0.0)
        assert ledger.key_windows.copy_slices(run_id) is None
    end = PlanEnd(1, b"zero")
    ledger.key_windows.close_copy(run_id, end, 0.0)
    with pytest.raises(TransientError, match="or Redis lost"):
        ledger.append_slices(run_id, end, [b"more"], 1)
    ledger.key_windows.close_copy(run_id, end, 0.0)
    assert (ledger.plan_end(run_id), ledger.key_windows.copy_slices(run_id)) == (end, 1)
    ledger.key_windows.append(run_id, Append([b"window"]))
    ledger.key_windows.close_copy(run_id, end, 0.0)  # its answer was lost, so it asks again
    assert ledger.key_windows.copy_slices(run_id) == 1


def test_no_key_is_left_of_windows_that_are_done(
    redis: Redis, ledger: RedisLedger, run_id: str
) -> None:
    for number, data in enumerate([b"zero", b"one"]):
        grant = claimed(ledger, run_id, number, data, "a")
        acknowledge(ledger, run_id, number, data, outcome(grant, "a"))
    left = {key.rpartition(b":")[2] for key in redis.scan_iter(f"dataworks:{{{run_id}}}:*")}
    assert left == {b"spec", b"record", b"acknowledged", b"counters"}
    assert redis.zrange(RunKeys(run_id).acknowledged, 0, -1) == [b"0:2"]


def test_keys_that_are_left_take_the_place_of_their_window(
    ledger: RedisLedger, run_id: str
) -> None:
    grant = claimed(ledger, run_id, 0, b"zero", "a")
    left = outcome(grant, "a", LATE_SECONDS, appended=[b"changed"], hot=[(b"k", 0)], rest=b"rest")
    keys = CompletedKeys(0, b"zero", RangeResult({"keys": 2}), left)
    done = ledger.key_windows.checkpoint(run_id, keys)
    assert (done.newly, done.closed_last_gap, done.checkpointed) == (0, False, True)
    assert not ledger.key_windows.checkpoint(run_id, keys).checkpointed, "once only"
    assert ledger.slices(run_id, BatchRange(0, 9)) == {0: b"rest", 1: b"one", 2: b"changed"}
    assert list(ledger.gaps(run_id)) == [BatchRange(0, 3)]
    assert ledger.progress(run_id).counters["keys"] == 2
    assert ledger.key_windows.hot_keys(run_id) == {b"k": 0}
    assert ledger.key_windows.status(run_id).deferred == 0
    assert ledger.key_windows.claim(run_id, wanted(0, b"zero", "b")) is None
    again = claimed(ledger, run_id, 0, b"rest", "b")
    assert again.claim >= grant.claim
    assert acknowledge(ledger, run_id, 0, b"rest", outcome(again, "b")) == 1
    assert list(ledger.gaps(run_id)) == [BatchRange(1, 3)]


def test_a_window_with_a_rest_is_deferred_where_a_write_may_be_late(
    ledger: RedisLedger, run_id: str
) -> None:
    """The late write may be of any of its keys."""
    grant = claimed(ledger, run_id, 0, b"zero", "a")
    left = outcome(grant, "a", 0.001, unanswered=True, rest=b"rest")
    assert acknowledge(ledger, run_id, 0, b"zero", left) == 0
    deadline = time.monotonic() + 10
    while not ledger.key_windows.append(run_id, Append(due=10)):
        assert time.monotonic() < deadline
    assert ledger.slices(run_id, BatchRange(0, 9)) == {0: b"rest", 1: b"one", 2: b"zero"}
