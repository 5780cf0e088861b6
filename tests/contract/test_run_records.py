"""The record of a run: names, state, limits, attempts, and what databases held at the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from dataworks_tasks.errors import UnknownName, UsageError
from dataworks_tasks.ledger.contract import (
    WORKING,
    FinishState,
    PlanEnd,
    RangeResult,
    RunState,
)
from dataworks_tasks.ledger.final_collection import FinalCollection, HeldCollection
from dataworks_tasks.ledger.keys import (
    SLICES_PER_KEY,
    RunKeys,
    due_key,
    turns_key,
    wanted_keys,
)
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.run_flags import RunFlags
from dataworks_tasks.ledger.run_limits import RunLimits
from dataworks_tasks.ledger.run_note import NoteTopic
from dataworks_tasks.runs.batch_range import BatchRange
from tests.contract.contract_support import NOTHING, generation_spec, migration_spec


def test_a_name_belongs_to_one_run(ledger: RedisLedger) -> None:
    first, second = generation_spec(10), generation_spec(10)
    assert ledger.named_run("nightly") is None
    assert ledger.name_run("nightly", first.run_id, 60) == first.run_id
    assert ledger.named_run("nightly") == first.run_id, "about to be on record"
    assert ledger.name_run("nightly", second.run_id, 60) == first.run_id
    assert ledger.name_run("nightly", second.run_id, 0) == second.run_id, "it never came"
    ledger.create(second, 10)
    assert ledger.name_run("nightly", first.run_id, 0) == second.run_id, "it is on record"
    ledger.forget(second.run_id)
    assert ledger.named_run("nightly") is None


def test_recording_a_run_may_be_repeated(ledger: RedisLedger) -> None:
    spec = generation_spec(20)
    ledger.create(spec, 20)
    ledger.acknowledge(spec.run_id, BatchRange(0, 10), NOTHING)
    ledger.create(spec, 20)  # its answer was lost
    assert ledger.acknowledge(spec.run_id, BatchRange(10, 20), NOTHING).closed_last_gap
    ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)
    ledger.create(spec, 20)
    assert ledger.state(spec.run_id) is RunState.COMPLETE


def test_two_runs_with_one_id_do_not_mix(ledger: RedisLedger) -> None:
    first = generation_spec(10)
    second = generation_spec(99).model_copy(update={"run_id": first.run_id})
    ledger.create(first, 10)
    with pytest.raises(UsageError, match="another run has the id"):
        ledger.create(second, 99)
    assert ledger.spec(first.run_id) == first
    assert ledger.progress(first.run_id).total == 10


def test_what_is_left_of_a_lost_run_does_not_count_for_its_next_record(
    ledger: RedisLedger, redis: Redis
) -> None:
    spec = generation_spec(20)
    ledger.create(spec, 20)
    ledger.acknowledge(spec.run_id, BatchRange(0, 10), RangeResult({"documents": 10}))
    redis.delete(RunKeys(spec.run_id).record)
    ledger.create(spec, 20)
    assert list(ledger.gaps(spec.run_id)) == [BatchRange(0, 20)]
    done = ledger.acknowledge(spec.run_id, BatchRange(0, 20), RangeResult({"documents": 20}))
    assert done.closed_last_gap
    assert ledger.progress(spec.run_id).counters["documents"] == 20


def test_a_collection_belongs_to_one_run_until_it_ends(ledger: RedisLedger) -> None:
    first, second = generation_spec(10), generation_spec(10)
    claims = ledger.targets
    assert claims.claim(first.run_id, ["a", "b"], 60) is None
    assert claims.claim(first.run_id, ["a", "b"], 60) is None, "the same step again"
    held = ("b", first.run_id)
    assert claims.claim(second.run_id, ["c", "b"], 60) == held, "it is being started"
    assert claims.claim(first.run_id, ["c"], 60) is None, "the other one got nothing"
    ledger.create(first, 10)
    assert claims.claim(second.run_id, ["b"], 0) == held, "it is on record"
    ledger.change_state(first.run_id, WORKING, RunState.PAUSED)
    assert claims.claim(second.run_id, ["b"], 0) == held, "it may be resumed"
    ledger.change_state(first.run_id, frozenset({RunState.PAUSED}), RunState.CANCELLED)
    assert claims.claim(second.run_id, ["b"], 0) is None


def test_a_run_that_shares_a_collection_is_never_refused(ledger: RedisLedger) -> None:
    first, second = generation_spec(10), generation_spec(10)
    assert ledger.targets.claim(first.run_id, ["a"], 60) is None
    assert ledger.targets.claim(second.run_id, ["a"], 60, shared=True) is None
    assert ledger.targets.claim(first.run_id, ["a"], 60) == ("a", second.run_id)
    assert ledger.targets.claim(first.run_id, ["a"], 0) is None, "the other one never came"
    ledger.targets.release(first.run_id)
    assert ledger.targets.claim(second.run_id, ["a"], 60) is None


def test_what_databases_held_at_the_end_is_kept(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    assert ledger.final_collections(spec.run_id) == ()
    held = HeldCollection("shop.people", 3, 100, 2)
    orders = FinalCollection(HeldCollection("shop.orders", 5, None, 1), held)
    kept = (orders, FinalCollection(held))
    ledger.record_final_collections(spec.run_id, kept)
    assert ledger.final_collections(spec.run_id) == kept
    ledger.record_final_collections(spec.run_id, kept[1:])
    assert ledger.final_collections(spec.run_id) == kept, "each replaces only its own"
    with pytest.raises(UnknownName):
        ledger.record_final_collections("no-such-run", kept)
    assert ledger.final_collections("no-such-run") == ()


def test_what_thousands_of_collections_held_is_kept_in_one_step(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    kept = tuple(
        FinalCollection(HeldCollection(f"shop.c{number:05}", number, None, 1))
        for number in range(5000)
    )
    ledger.record_final_collections(spec.run_id, kept)
    assert ledger.final_collections(spec.run_id) == kept


def test_a_state_is_read_alone(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    with pytest.raises(UnknownName, match=spec.run_id):
        ledger.state(spec.run_id)
    ledger.create(spec, 10)
    assert ledger.state(spec.run_id) is RunState.RUNNING
    ledger.change_state(spec.run_id, frozenset({RunState.RUNNING}), RunState.PAUSED)
    assert ledger.state(spec.run_id) is RunState.PAUSED


def test_flags_are_kept_with_their_run(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    assert ledger.progress(spec.run_id).flags is None
    for flags in (RunFlags(target="mongodb://h/", secret=("broker",)), RunFlags(profile="dev")):
        ledger.keep_flags(spec.run_id, flags)
        assert ledger.progress(spec.run_id).flags == flags


@pytest.mark.parametrize("over", [RunState.COMPLETE, RunState.DIFFERENT, RunState.CANCELLED])
def test_limits_change_until_a_run_is_over(ledger: RedisLedger, over: RunState) -> None:
    spec, other = generation_spec(10), generation_spec(10)
    for one in (spec, other):
        ledger.create(one, 10)
    assert ledger.limits(spec.run_id) is None
    slow, fast = RunLimits(max_rate=5.5), RunLimits(max_ru=400.0, source_max_ru=40.0)
    assert ledger.change_limits(spec.run_id, slow)
    assert ledger.limits(spec.run_id) == slow
    ledger.change_state(spec.run_id, WORKING, RunState.PAUSED)
    assert ledger.change_limits(spec.run_id, fast)
    ledger.acknowledge(spec.run_id, BatchRange(0, 10), NOTHING)
    assert ledger.change_state(spec.run_id, frozenset({RunState.PAUSED}), over)
    assert not ledger.change_limits(spec.run_id, slow)
    for run_id, limits in ((spec.run_id, fast), (other.run_id, None)):
        assert ledger.limits(run_id) == ledger.progress(run_id).limits == limits


def test_attempts_are_counted_for_each_subject_of_each_run(ledger: RedisLedger) -> None:
    first, second = generation_spec(10).run_id, generation_spec(10).run_id
    assert [ledger.count_attempt(first, "0:10") for _ in range(3)] == [1, 2, 3]
    assert ledger.count_attempt(first, "finish") == 1
    assert ledger.count_attempt(second, "0:10") == 1
    ledger.forget_attempts(first, "0:10")
    counts = [ledger.count_attempt(run, "0:10") for run in (first, second)]
    assert (counts, ledger.count_attempt(first, "finish")) == ([1, 2], 2)


def test_a_run_is_recorded_with_its_steps(ledger: RedisLedger, redis: Redis) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10, "fast", ("plan", "watch"))
    due = [f"{spec.run_id} plan".encode(), f"{spec.run_id} watch".encode()]
    assert redis.zrange(due_key("fast"), 0, -1, withscores=True) == [(name, 0.0) for name in due]


def test_what_other_keys_hold_of_a_forgotten_run_is_gone(ledger: RedisLedger, redis: Redis) -> None:
    gone, kept = migration_spec(), migration_spec()
    for spec in (gone, kept):
        ledger.create(spec, None, "fast")
        ledger.name_run(f"of {spec.run_id}", spec.run_id, 60)
        redis.zadd(turns_key("fast"), {spec.run_id: 1.0})
        redis.hset(wanted_keys("fast")[0], spec.run_id, 2)
    end = PlanEnd()
    for first in range(0, 2 * SLICES_PER_KEY, SLICES_PER_KEY):
        slices = [f"slice {number}".encode() for number in range(first, first + SLICES_PER_KEY)]
        ledger.append_slices(gone.run_id, end, slices, 1)
        end = PlanEnd(first + SLICES_PER_KEY, slices[-1])
    ledger.append_slices(kept.run_id, PlanEnd(), [b"a slice"], 1)
    ledger.forget(gone.run_id)
    assert not redis.keys(f"*{gone.run_id}*")
    assert redis.zrange(turns_key("fast"), 0, -1) == [kept.run_id.encode()]
    assert redis.hgetall(wanted_keys("fast")[0]) == {kept.run_id.encode(): b"2"}
    assert (ledger.named_run(f"of {gone.run_id}"), ledger.run_ids()) == (None, [kept.run_id])
    assert ledger.named_run(f"of {kept.run_id}") == kept.run_id
    assert ledger.slices(kept.run_id, BatchRange(0, 1)) == {0: b"a slice"}


@pytest.mark.parametrize(
    "step",
    [
        lambda ledger, run_id: ledger.spec(run_id),
        lambda ledger, run_id: ledger.state(run_id),
        lambda ledger, run_id: ledger.progress(run_id),
        lambda ledger, run_id: list(ledger.gaps(run_id)),
        lambda ledger, run_id: ledger.plan_end(run_id),
        lambda ledger, run_id: ledger.append_slices(run_id, PlanEnd(), [b"one"], 1),
        lambda ledger, run_id: ledger.close_plan(run_id, PlanEnd()),
        lambda ledger, run_id: ledger.acknowledge(run_id, BatchRange(0, 1), NOTHING),
        lambda ledger, run_id: ledger.checkpoint_slice(run_id, 0, NOTHING, b"one", b"rest"),
        lambda ledger, run_id: ledger.change_state(run_id, WORKING, RunState.PAUSED),
        lambda ledger, run_id: ledger.set_going(run_id, WORKING),
        lambda ledger, run_id: ledger.reopen_failed(run_id),
        lambda ledger, run_id: ledger.change_limits(run_id, RunLimits()),
        lambda ledger, run_id: ledger.keep_flags(run_id, RunFlags(profile="dev")),
        lambda ledger, run_id: ledger.note_error(run_id, "the disk is full"),
        lambda ledger, run_id: ledger.set_notes(run_id, NoteTopic.SOURCE, []),
        lambda ledger, run_id: ledger.record_final_collections(run_id, []),
        lambda ledger, run_id: ledger.acquire_finish_lease(run_id, "a", 1, FinishState("1", "")),
    ],
)  # fmt: skip
def test_each_step_names_a_run_that_is_not_on_record(
    ledger: RedisLedger, redis: Redis, step: Callable[[RedisLedger, str], object]
) -> None:
    with pytest.raises(UnknownName, match="run 'gen-gone' is not on record"):
        step(ledger, "gen-gone")
    assert not redis.keys("*gen-gone*"), "it makes no record of its own"
