"""Slices: planned, checkpointed and acknowledged, on any Redis."""

from __future__ import annotations

import pytest
from redis import Redis

from dataworks_tasks.errors import TransientError
from dataworks_tasks.ledger.contract import (
    WORKING,
    DocumentFailure,
    PlanEnd,
    RangeResult,
    RunState,
)
from dataworks_tasks.ledger.keys import RunKeys, due_key
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.batch_range import BatchRange
from tests.contract.contract_support import (
    NOTHING,
    migration_spec,
)


def test_slices_are_gone_when_acknowledged(redis: Redis, ledger: RedisLedger) -> None:
    spec = migration_spec()
    ledger.create(spec, None)
    slices = [b"\x9e\x00\xff" + str(number).encode() for number in range(250)]
    ledger.append_slices(spec.run_id, PlanEnd(), slices[:120], 1200)
    ledger.append_slices(spec.run_id, PlanEnd(120, slices[119]), slices[120:], 1300)
    assert ledger.slices(spec.run_id, BatchRange(98, 102)) == {n: slices[n] for n in range(98, 102)}
    assert ledger.plan_end(spec.run_id) == (250, slices[-1])
    end = PlanEnd(250, slices[-1])
    assert ledger.progress(spec.run_id).state is RunState.PLANNING
    assert not ledger.acknowledge(spec.run_id, BatchRange(0, 250), NOTHING).closed_last_gap
    assert ledger.slices(spec.run_id, BatchRange(0, 250)) == {}
    assert ledger.close_plan(spec.run_id, end), "the planner closes what was copied before it"
    assert not ledger.close_plan(spec.run_id, end)
    left = {key.rpartition(b":")[2] for key in redis.scan_iter(f"dataworks:{{{spec.run_id}}}:*")}
    assert left == {b"spec", b"record", b"acknowledged"}


def test_a_slice_with_failures_stays_for_the_retry(ledger: RedisLedger) -> None:
    spec = migration_spec()
    ledger.create(spec, None)
    ledger.append_slices(spec.run_id, PlanEnd(), [b"zero", b"one"], 20)
    ledger.close_plan(spec.run_id, PlanEnd(2, b"one"))
    failure = DocumentFailure("c.d:1", "1", "c.d", "refused by validation")
    ledger.acknowledge(spec.run_id, BatchRange(1, 2), RangeResult({}, [failure]))
    ledger.acknowledge(spec.run_id, BatchRange(0, 1), NOTHING)
    ledger.reopen_failed(spec.run_id)
    assert ledger.slices(spec.run_id, BatchRange(0, 2)) == {1: b"one"}


def test_a_slice_is_checkpointed_part_by_part(redis: Redis, ledger: RedisLedger) -> None:
    spec = migration_spec()
    ledger.create(spec, None)
    ledger.append_slices(spec.run_id, PlanEnd(), [b"zero\xff", b"one"], 20)
    ledger.close_plan(spec.run_id, PlanEnd(2, b"one"))
    first, second = BatchRange(0, 1), BatchRange(1, 2)
    failure = DocumentFailure("c.d:1", "1", "c.d", "refused by validation")

    def acknowledge(number: int, done: bytes, rest: bytes, *failures: DocumentFailure) -> int:
        result = RangeResult({"documents": 3}, failures)
        if rest:
            return ledger.checkpoint_slice(spec.run_id, number, result, done, rest)
        of_one = BatchRange(number, number + 1)
        return ledger.acknowledge(spec.run_id, of_one, result, expected_slice=done).newly

    def documents() -> int:
        return ledger.progress(spec.run_id).counters["documents"]

    assert acknowledge(0, b"zero\xff", b"rest 1", failure)
    assert not acknowledge(
        0, b"zero\xff", b"somebody else's"
    )  # a worker that did not see the first part
    assert acknowledge(0, b"rest 1", b"rest 2")
    assert acknowledge(1, b"one", b"rest of one")
    assert ledger.slices(spec.run_id, BatchRange(0, 2)) == {0: b"rest 2", 1: b"rest of one"}
    assert documents() == 9
    assert list(ledger.gaps(spec.run_id)) == [BatchRange(0, 2)]
    assert acknowledge(0, b"rest 1", b"") == 0
    assert acknowledge(0, b"rest 2", b"") == 1
    assert acknowledge(1, b"rest of one", b"") == 1
    assert documents() == 15
    assert ledger.progress(spec.run_id).failures == 1
    # A retry reads the complete slice again, and counts it again.
    assert ledger.reopen_failed(spec.run_id) == 1
    assert ledger.slices(spec.run_id, BatchRange(0, 2)) == {0: b"zero\xff"}
    assert documents() == 6
    assert list(ledger.gaps(spec.run_id)) == [first]
    assert not redis.exists(RunKeys(spec.run_id).parts)
    ledger.acknowledge(spec.run_id, second, NOTHING)
    assert documents() == 6


def test_a_slice_that_was_planned_again_is_not_acknowledged_by_the_old_one(
    ledger: RedisLedger,
) -> None:
    spec = migration_spec()
    ledger.create(spec, None)
    ledger.append_slices(spec.run_id, PlanEnd(), [b"new bounds"], 20)

    def acknowledge(number: int, slice_: bytes) -> int:
        of_one = BatchRange(number, number + 1)
        return ledger.acknowledge(spec.run_id, of_one, NOTHING, expected_slice=slice_).newly

    assert acknowledge(0, b"old bounds") == 0
    assert acknowledge(1, b"old bounds") == 0
    assert list(ledger.gaps(spec.run_id)) == [BatchRange(0, 1)]
    assert acknowledge(0, b"new bounds") == 1
    assert acknowledge(0, b"new bounds") == 0


def test_two_planners_do_not_mix(ledger: RedisLedger) -> None:
    spec = migration_spec()
    ledger.create(spec, None)
    ledger.append_slices(spec.run_id, PlanEnd(), [b"zero"], 1)
    with pytest.raises(TransientError, match="another planner added to it"):
        ledger.append_slices(spec.run_id, PlanEnd(), [b"zero again"], 1)


def test_a_planner_that_redis_left_behind_neither_adds_nor_closes(ledger: RedisLedger) -> None:
    """It planned two slices, of which Redis lost one; another planner has cut elsewhere since."""
    spec = migration_spec()
    ledger.create(spec, None)
    ledger.append_slices(spec.run_id, PlanEnd(), [b"zero"], 1)
    for stale in (PlanEnd(2, b"one"), PlanEnd(1, b"other bounds"), PlanEnd(1, None), PlanEnd()):
        with pytest.raises(TransientError, match="or Redis lost"):
            ledger.append_slices(spec.run_id, stale, [b"more"], 1)
        with pytest.raises(TransientError, match="or Redis lost"):
            ledger.close_plan(spec.run_id, stale)
    assert ledger.progress(spec.run_id).total is None
    assert not ledger.close_plan(spec.run_id, PlanEnd(1, b"zero"))
    with pytest.raises(TransientError):
        ledger.append_slices(spec.run_id, PlanEnd(1, b"zero"), [b"more"], 1)
    assert ledger.progress(spec.run_id).total == 1


def test_a_plan_that_ends_before_its_total_is_planned_further(
    ledger: RedisLedger, redis: Redis
) -> None:
    """As version 0.1 left it, when Redis lost its last moment while the plan was closed."""
    spec = migration_spec()
    ledger.create(spec, None)
    ledger.append_slices(spec.run_id, PlanEnd(), [b"zero"], 1)
    ledger.close_plan(spec.run_id, PlanEnd(1, b"zero"))
    redis.hset(RunKeys(spec.run_id).record, "total", 60)
    ledger.acknowledge(spec.run_id, BatchRange(0, 1), NOTHING)
    assert ledger.progress(spec.run_id).gaps == 1
    assert not ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)
    assert ledger.set_going(spec.run_id, WORKING, "dataworks", ("plan",))
    progress = ledger.progress(spec.run_id)
    assert (progress.state, progress.total) == (RunState.PLANNING, None)
    assert redis.zrange(due_key("dataworks"), 0, -1) == [f"{spec.run_id} plan".encode()]
    ledger.append_slices(spec.run_id, ledger.plan_end(spec.run_id), [b"one"], 1)
    ledger.close_plan(spec.run_id, PlanEnd(2, b"one"))
    assert ledger.progress(spec.run_id).state is RunState.RUNNING


def test_each_slice_has_the_number_of_its_collection(ledger: RedisLedger) -> None:
    spec, one = migration_spec(), migration_spec()
    for run in (spec, one):
        ledger.create(run, None)
        assert ledger.slice_collections(run.run_id) == ()
    shares = {"c.d": 3, "c.e": 4}
    ledger.append_slices(spec.run_id, PlanEnd(), [b"a", b"b"], 7, shares, [0, 65_535])
    ledger.append_slices(spec.run_id, PlanEnd(2, b"b"), [b"c"], 2, {"c.e": 2}, [1])
    ledger.append_slices(one.run_id, PlanEnd(), [b"a"], 7)
    assert ledger.slice_collections(spec.run_id) == (0, 65_535, 1)
    assert ledger.slice_collections(one.run_id) == (), "of a run with one collection"
    progress = ledger.progress(spec.run_id)
    assert (progress.documents_expected, progress.planned, progress.total) == (9, 3, None)
    assert progress.collections_expected == {"c.d": 3, "c.e": 6}
    ledger.append_slices(spec.run_id, PlanEnd(3, b"c"), [b"d"], 1, {}, [65_536])
    assert ledger.slice_collections(spec.run_id) == (0, 65_535, 1), "a number without room for it"
    ledger.close_plan(spec.run_id, PlanEnd(4, b"d"))
    assert ledger.progress(spec.run_id).total == 4


def test_an_empty_plan_is_closed_at_once(ledger: RedisLedger) -> None:
    spec = migration_spec()
    ledger.create(spec, None)
    assert ledger.plan_end(spec.run_id) == (0, None)
    assert ledger.progress(spec.run_id).gaps == 0
    assert ledger.close_plan(spec.run_id, PlanEnd())
    progress = ledger.progress(spec.run_id)
    assert (progress.state, progress.total, progress.gaps) == (RunState.RUNNING, 0, 0)
