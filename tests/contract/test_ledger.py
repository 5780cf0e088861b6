"""What the ledger promises, on any Redis."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from dataworks_tasks.errors import TransientError, UnknownName
from dataworks_tasks.ledger import acknowledged_ranges, run_histories
from dataworks_tasks.ledger.contract import (
    WORKING,
    DocumentFailure,
    FinishState,
    PlanEnd,
    RangeResult,
    RunState,
    WorkerReport,
)
from dataworks_tasks.ledger.history import RunEvent
from dataworks_tasks.ledger.keys import RunKeys, due_key
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.ledger.tokens import BucketRequest, TokenRequest
from dataworks_tasks.ledger.windows import DueStep
from dataworks_tasks.runs.batch_range import BatchRange
from tests.contract.contract_support import generation_spec, migration_spec
from tests.contract.ledger_model import LedgerModel

TOTAL = 60
ranges = st.tuples(st.integers(0, TOTAL - 1), st.integers(1, TOTAL)).map(
    lambda pair: (pair[0], min(TOTAL, pair[0] + pair[1]))
)
nothing = RangeResult({})


def counted(size: int) -> RangeResult:
    return RangeResult({"documents": size, "bytes": 10 * size})


@given(acknowledgements=st.lists(ranges, max_size=12))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_agrees_with_a_set_of_numbers(
    ledger: RedisLedger, acknowledgements: list[tuple[int, int]]
) -> None:
    spec = generation_spec(TOTAL)
    ledger.create(spec, TOTAL)
    model = LedgerModel(TOTAL)
    closings = 0
    for start, stop in [*acknowledgements, *acknowledgements[::2], (0, TOTAL), (0, TOTAL)]:
        done = BatchRange(start, stop)
        acknowledgement = ledger.acknowledge(spec.run_id, done, counted(done.size))
        newly, closed = model.acknowledge(start, stop)
        assert (acknowledgement.newly, acknowledgement.closed_last_gap) == (newly, closed)
        closings += acknowledgement.closed_last_gap
        assert list(ledger.gaps(spec.run_id)) == model.gaps()
        progress = ledger.progress(spec.run_id)
        assert progress.acknowledged == len(model.done)
        assert progress.gaps == len(model.gaps())
        assert progress.counters.get("documents", 0) == len(model.done)
        assert progress.counters.get("bytes", 0) == 10 * len(model.done)
    assert closings == 1


def test_gaps_within_a_range(ledger: RedisLedger) -> None:
    spec = generation_spec(100)
    ledger.create(spec, 100)
    for start, stop in [(0, 10), (20, 30), (50, 90)]:
        ledger.acknowledge(spec.run_id, BatchRange(start, stop), nothing)
    assert list(ledger.gaps(spec.run_id, BatchRange(5, 25))) == [BatchRange(10, 20)]
    assert list(ledger.gaps(spec.run_id, BatchRange(25, 60))) == [BatchRange(30, 50)]
    assert list(ledger.gaps(spec.run_id, BatchRange(60, 80))) == []


def test_gaps_beyond_one_page(ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledged_ranges, "_PAGE", 20)
    spec = generation_spec(200)
    ledger.create(spec, 200)
    for start in range(0, 200, 2):
        ledger.acknowledge(spec.run_id, BatchRange(start, start + 1), nothing)
    assert list(ledger.gaps(spec.run_id)) == [BatchRange(n, n + 1) for n in range(1, 200, 2)]


def test_a_range_over_thousands_of_others(redis: Redis, ledger: RedisLedger) -> None:
    spec = generation_spec(4400)
    ledger.create(spec, 4400)
    keys = RunKeys(spec.run_id)
    redis.zadd(keys.acknowledged, {f"{n}:{n + 1}": n for n in range(1, 4400, 2)})
    redis.hset(keys.record, "acknowledged", "2200")
    wide = ledger.acknowledge(spec.run_id, BatchRange(10, 4390), counted(4380))
    assert wide.newly == 2190
    assert list(ledger.gaps(spec.run_id)) == [
        BatchRange(n, n + 1) for n in (0, 2, 4, 6, 8, 4390, 4392, 4394, 4396, 4398)
    ]
    assert ledger.progress(spec.run_id).counters["documents"] == 2190


def test_large_numbers_stay_exact(ledger: RedisLedger) -> None:
    total = 10**12
    spec = generation_spec(total)
    ledger.create(spec, total)
    last = BatchRange(total - 1, total)
    ledger.acknowledge(spec.run_id, last, counted(1))
    assert list(ledger.gaps(spec.run_id)) == [BatchRange(0, total - 1)]
    closing = ledger.acknowledge(spec.run_id, BatchRange(0, total - 1), counted(total - 1))
    assert closing.closed_last_gap
    assert ledger.progress(spec.run_id).counters["bytes"] == 10 * total


def test_memory_follows_gaps_not_documents(redis: Redis, ledger: RedisLedger) -> None:
    spec = generation_spec(300)
    ledger.create(spec, 300)
    order = list(range(300))
    random.Random(3).shuffle(order)
    for number in order:
        ledger.acknowledge(spec.run_id, BatchRange(number, number + 1), nothing)
    assert redis.zrange(RunKeys(spec.run_id).acknowledged, 0, -1) == [b"0:300"]


def test_an_unknown_run_is_never_complete(ledger: RedisLedger) -> None:
    with pytest.raises(UnknownName, match="not on record"):
        ledger.acknowledge("gen-gone", BatchRange(0, 1), nothing)
    with pytest.raises(UnknownName):
        ledger.progress("gen-gone")
    with pytest.raises(UnknownName):
        ledger.change_state("gen-gone", WORKING, RunState.COMPLETE)


def test_a_ledger_that_lost_its_data_refuses(redis: Redis, ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    ledger.acknowledge(spec.run_id, BatchRange(0, 5), nothing)
    redis.delete(RunKeys(spec.run_id).record, RunKeys(spec.run_id).acknowledged)
    with pytest.raises(UnknownName):
        ledger.acknowledge(spec.run_id, BatchRange(5, 10), nothing)


@pytest.mark.situation(
    6,
    "`pause` and `resume` of a run that was throttled",
    before="the old rate",
    now="a fresh start",
)
def test_a_run_that_was_stopped_starts_with_a_fresh_rate(ledger: RedisLedger, redis: Redis) -> None:
    spec = generation_spec(TOTAL)
    ledger.create(spec, TOTAL)
    bucket = BucketRequest("documents", 10.0, controlled=True)
    ledger.take_tokens(spec.run_id, TokenRequest([bucket], 5.0, joins=True, accepted_rate=1.0))
    budget = RunKeys(spec.run_id).budget
    ledger.change_state(spec.run_id, frozenset({RunState.RUNNING}), RunState.PAUSED)
    assert redis.exists(budget)
    ledger.change_state(spec.run_id, frozenset({RunState.PAUSED}), RunState.RUNNING)
    assert not redis.exists(budget)


def test_state_changes_are_compare_and_set(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    paused = ledger.change_state(spec.run_id, WORKING, RunState.PAUSED)
    again = ledger.change_state(spec.run_id, WORKING, RunState.PAUSED)
    assert (paused, again) == (True, False)
    assert ledger.change_state(spec.run_id, frozenset({RunState.PAUSED}), RunState.FAILED, "disk")
    progress = ledger.progress(spec.run_id)
    assert (progress.state, progress.last_error) == (RunState.FAILED, "disk")
    assert progress.finished_at is not None


def test_failures_are_recorded_once_and_reopened(ledger: RedisLedger) -> None:
    spec = generation_spec(30)
    ledger.create(spec, 30)
    failure = DocumentFailure("shop.orders:4", "4", "shop.orders", "too large")
    result = RangeResult({"documents": 9}, [failure])
    for _ in range(2):
        ledger.acknowledge(spec.run_id, BatchRange(0, 10), result)
    ledger.acknowledge(spec.run_id, BatchRange(10, 30), RangeResult({"documents": 20}))
    assert list(ledger.failures(spec.run_id)) == [failure]
    assert ledger.progress(spec.run_id).counters["documents"] == 29
    assert ledger.reopen_failed(spec.run_id) == 1
    progress = ledger.progress(spec.run_id)
    assert (progress.failures, progress.counters["documents"]) == (0, 20)
    assert list(ledger.gaps(spec.run_id)) == [BatchRange(0, 10)]
    closing = ledger.acknowledge(spec.run_id, BatchRange(0, 10), RangeResult({"documents": 10}))
    assert closing.closed_last_gap


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
    assert not ledger.acknowledge(spec.run_id, BatchRange(0, 250), nothing).closed_last_gap
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
    ledger.acknowledge(spec.run_id, BatchRange(0, 1), nothing)
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
    assert not acknowledge(0, b"zero\xff", b"somebody else's")  # who did not see the first part
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
    # A retry reads the whole slice again, and counts it again.
    assert ledger.reopen_failed(spec.run_id) == 1
    assert ledger.slices(spec.run_id, BatchRange(0, 2)) == {0: b"zero\xff"}
    assert documents() == 6
    assert list(ledger.gaps(spec.run_id)) == [first]
    assert not redis.exists(RunKeys(spec.run_id).parts)
    ledger.acknowledge(spec.run_id, second, nothing)
    assert documents() == 6


def test_a_slice_that_was_planned_again_is_not_acknowledged_by_the_old_one(
    ledger: RedisLedger,
) -> None:
    spec = migration_spec()
    ledger.create(spec, None)
    ledger.append_slices(spec.run_id, PlanEnd(), [b"new bounds"], 20)

    def acknowledge(number: int, slice_: bytes) -> int:
        of_one = BatchRange(number, number + 1)
        return ledger.acknowledge(spec.run_id, of_one, nothing, expected_slice=slice_).newly

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
    ledger.acknowledge(spec.run_id, BatchRange(0, 1), nothing)
    assert ledger.progress(spec.run_id).gaps == 1
    assert not ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)
    assert ledger.set_going(spec.run_id, WORKING, "dataworks", ("plan",))
    progress = ledger.progress(spec.run_id)
    assert (progress.state, progress.total) == (RunState.PLANNING, None)
    assert redis.zrange(due_key("dataworks"), 0, -1) == [f"{spec.run_id} plan".encode()]
    ledger.append_slices(spec.run_id, ledger.plan_end(spec.run_id), [b"one"], 1)
    ledger.close_plan(spec.run_id, PlanEnd(2, b"one"))
    assert ledger.progress(spec.run_id).state is RunState.RUNNING


@pytest.mark.situation(
    14,
    "Redis loses ranges while the last index is built",
    before="`complete`, with gaps",
    now="`running`, until the ranges are done again",
)
def test_a_run_with_gaps_does_not_become_complete(ledger: RedisLedger) -> None:
    """Redis may lose ranges while a worker builds the last index."""
    spec = generation_spec(10)
    ledger.create(spec, 10)
    ledger.acknowledge(spec.run_id, BatchRange(0, 9), nothing)
    assert not ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)
    ledger.acknowledge(spec.run_id, BatchRange(9, 10), nothing)
    assert ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)


def test_a_run_is_set_going_in_one_step(ledger: RedisLedger, redis: Redis) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    due = due_key("dataworks")
    ledger.change_state(spec.run_id, WORKING, RunState.FAILED, "disk")
    assert not ledger.set_going(spec.run_id, WORKING, "dataworks", ("watch",))
    assert not redis.exists(due)
    assert ledger.set_going(spec.run_id, frozenset({RunState.FAILED}), "dataworks", ("watch",))
    progress = ledger.progress(spec.run_id)
    assert (progress.state, progress.last_error, progress.finished_at) == (
        RunState.RUNNING,
        None,
        None,
    )
    assert redis.zrange(due, 0, -1) == [f"{spec.run_id} watch".encode()]
    with pytest.raises(UnknownName):
        ledger.set_going("gen-gone", WORKING)


@pytest.mark.situation(
    14,
    "the producer is killed between the two steps of `dataworks retry`",
    before="`complete`, with gaps, and no command helps",
    now="it is one step",
)
def test_a_complete_run_is_going_when_its_failures_are_reopened(
    ledger: RedisLedger, redis: Redis
) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    failure = DocumentFailure("shop.orders:4", "4", "shop.orders", "too large")
    ledger.acknowledge(spec.run_id, BatchRange(0, 10), RangeResult({"documents": 9}, [failure]))
    ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)
    assert ledger.reopen_failed(spec.run_id, "dataworks", ("watch",)) == 1
    progress = ledger.progress(spec.run_id)
    assert (progress.state, progress.gaps) == (RunState.RUNNING, 1)
    assert redis.zrange(due_key("dataworks"), 0, -1) == [f"{spec.run_id} watch".encode()]


def test_progress_shows_the_workers(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    report = WorkerReport("host:12", reported_at=1.5, documents=5, peak_rss_bytes=90_000_000)
    ledger.acknowledge(spec.run_id, BatchRange(0, 5), nothing, report)
    assert list(ledger.progress(spec.run_id).workers) == [report]


def test_runs_come_newest_first(ledger: RedisLedger) -> None:
    older, newer = generation_spec(1), generation_spec(1)
    for spec in (older, newer):
        ledger.create(spec, 1)
    found = ledger.run_ids()
    assert found.index(newer.run_id) < found.index(older.run_id)


def test_the_spec_comes_back_as_it_was(ledger: RedisLedger) -> None:
    spec = migration_spec()
    ledger.create(spec, None)
    assert ledger.spec(spec.run_id) == spec


def test_one_process_at_a_time_finishes_a_run(ledger: RedisLedger) -> None:
    spec = generation_spec(TOTAL)
    run_id = spec.run_id
    with pytest.raises(UnknownName):
        ledger.acquire_finish_lease(run_id, "a", 60)
    ledger.create(spec, TOTAL)
    assert ledger.acquire_finish_lease(run_id, "a", 60) == ""
    assert ledger.acquire_finish_lease(run_id, "b", 60) is None
    assert (
        ledger.acquire_finish_lease(run_id, "a", 60, FinishState("2:0701", "half of it"))
        == "2:0701"
    )
    assert ledger.progress(run_id).finishing == "half of it"
    assert ledger.acquire_finish_lease(run_id, "b", 0, FinishState("9", "mine")) is None
    assert ledger.acquire_finish_lease(run_id, "a", 0) == "2:0701"
    assert ledger.acquire_finish_lease(run_id, "b", 0.01) == "2:0701"
    deadline = time.monotonic() + 5
    while (found := ledger.acquire_finish_lease(run_id, "c", 60)) is None:
        assert time.monotonic() < deadline
    assert found == "2:0701"
    ledger.acquire_finish_lease(run_id, "c", 0)
    ledger.reopen_failed(run_id)
    assert ledger.acquire_finish_lease(run_id, "a", 0) == ""
    assert ledger.progress(run_id).finishing is None


def test_notes_stay_when_the_run_is_complete(ledger: RedisLedger) -> None:
    spec = generation_spec(TOTAL)
    ledger.create(spec, TOTAL)
    notes = [
        RunNote(NoteTopic.SOURCE, "shop.orders", "500 more"),
        RunNote(NoteTopic.SOURCE, "", "nothing else", attention=False),
    ]
    view = RunNote(NoteTopic.VIEWS, "shop.shown", "left out")
    ledger.set_notes(spec.run_id, NoteTopic.VIEWS, [view])
    ledger.set_notes(spec.run_id, NoteTopic.SOURCE, notes)
    ledger.acknowledge(spec.run_id, BatchRange(0, TOTAL), nothing)
    ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)
    assert ledger.progress(spec.run_id).notes == (*notes, view)
    ledger.set_notes(spec.run_id, NoteTopic.SOURCE, [])
    assert ledger.progress(spec.run_id).notes == (view,)
    with pytest.raises(UnknownName):
        ledger.set_notes("no-such-run", NoteTopic.SOURCE, notes)


def test_a_history_keeps_the_counters_over_time(
    ledger: RedisLedger, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_histories, "_STEP_SECONDS", 0.0)
    monkeypatch.setattr(run_histories, "_MOST_SAMPLES", 8)
    spec = generation_spec(TOTAL)
    ledger.create(spec, TOTAL)
    for start in range(0, TOTAL, 2):
        ledger.acknowledge(spec.run_id, BatchRange(start, start + 2), counted(2))
        ledger.history.sample(spec.run_id)
        redis.hset(RunKeys(spec.run_id).record, "history_step", 0)
    samples = ledger.history.read(spec.run_id)
    assert 4 <= len(samples) <= 8
    assert samples[0].documents == 2
    assert all(sample.bytes == 10 * sample.documents for sample in samples)
    assert [one.documents for one in samples] == sorted({one.documents for one in samples})
    assert [one.at for one in samples] == sorted(one.at for one in samples)


def test_a_full_history_takes_samples_half_as_often(
    ledger: RedisLedger, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = generation_spec(TOTAL)
    ledger.create(spec, TOTAL)
    ledger.history.sample(spec.run_id)
    ledger.history.sample(spec.run_id)
    assert len(ledger.history.read(spec.run_id)) == 1
    monkeypatch.setattr(run_histories, "_MOST_SAMPLES", 2)
    redis.hset(RunKeys(spec.run_id).record, "history_step", "0.001")
    time.sleep(0.002)
    ledger.history.sample(spec.run_id)
    assert len(ledger.history.read(spec.run_id)) == 1
    assert redis.hget(RunKeys(spec.run_id).record, "history_step") == b"0.002"
    with pytest.raises(UnknownName):
        ledger.history.sample("gen-unknown")


def test_events_are_kept_in_order_and_bounded(
    ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_histories, "_MOST_EVENTS", 2)
    spec = generation_spec(TOTAL)
    ledger.create(spec, TOTAL)
    for number in range(3):
        ledger.history.record_event(spec.run_id, RunEvent(float(number), "anna", f"pause {number}"))
    assert [event.action for event in ledger.history.events(spec.run_id)] == ["pause 1", "pause 2"]


def test_the_states_of_all_runs_come_at_once(ledger: RedisLedger) -> None:
    first, second = generation_spec(TOTAL), generation_spec(TOTAL)
    ledger.create(first, TOTAL)
    ledger.create(second, TOTAL)
    ledger.change_state(first.run_id, WORKING, RunState.PAUSED)
    states = ledger.states()
    assert (states[first.run_id], states[second.run_id]) == (RunState.PAUSED, RunState.RUNNING)


def test_failures_can_be_read_page_by_page(ledger: RedisLedger) -> None:
    spec = generation_spec(TOTAL)
    ledger.create(spec, TOTAL)
    failure = DocumentFailure("key", "1", "shop.orders", "too large")
    ledger.acknowledge(spec.run_id, BatchRange(4, 6), RangeResult({}, (failure,)))
    page = ledger.failure_page(spec.run_id)
    assert (page.failures, page.cursor) == ((failure,), 0)
    assert ledger.failed_ranges(spec.run_id) == (BatchRange(4, 6),)
    assert ledger.windows.in_hand(spec.run_id) == ()


def test_what_names_no_step_is_not_due(ledger: RedisLedger, redis: Redis) -> None:
    """Whoever can write to Redis can put anything there, and a worker looks four times a second."""
    due = {"garbage": 0, "two many words": 0, "gen-1 watch": 0}
    redis.zadd(due_key("dataworks"), due)
    assert ledger.driver.claim("dataworks", 10, 5.0) == [DueStep("gen-1", "watch")]
