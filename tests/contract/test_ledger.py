"""The ledger's contract for a run, on any Redis."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from dataworks_tasks.errors import UnknownName
from dataworks_tasks.ledger.contract import (
    WORKING,
    DocumentFailure,
    FinishState,
    RangeResult,
    RunState,
    WorkerReport,
)
from dataworks_tasks.ledger.keys import RunKeys, due_key
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.ledger.tokens import BucketRequest, ThrottledRate, TokenGrant, TokenRequest
from dataworks_tasks.ledger.windows import DueStep
from dataworks_tasks.runs.batch_range import BatchRange
from tests.contract.contract_support import (
    NOTHING,
    TOTAL,
    generation_spec,
    migration_spec,
)


def test_an_unknown_run_is_never_complete(ledger: RedisLedger) -> None:
    with pytest.raises(UnknownName, match="not on record"):
        ledger.acknowledge("gen-gone", BatchRange(0, 1), NOTHING)
    with pytest.raises(UnknownName):
        ledger.progress("gen-gone")
    with pytest.raises(UnknownName):
        ledger.change_state("gen-gone", WORKING, RunState.COMPLETE)


def test_a_ledger_that_lost_its_data_refuses(redis: Redis, ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    ledger.acknowledge(spec.run_id, BatchRange(0, 5), NOTHING)
    redis.delete(RunKeys(spec.run_id).record, RunKeys(spec.run_id).acknowledged)
    with pytest.raises(UnknownName):
        ledger.acknowledge(spec.run_id, BatchRange(5, 10), NOTHING)


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
    ledger.acknowledge(spec.run_id, BatchRange(0, 9), NOTHING)
    assert not ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)
    ledger.acknowledge(spec.run_id, BatchRange(9, 10), NOTHING)
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
    ledger.acknowledge(spec.run_id, BatchRange(0, 5), NOTHING, report)
    assert list(ledger.progress(spec.run_id).workers) == [report]


def test_progress_says_what_happened_when(ledger: RedisLedger, redis: Redis) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    start = ledger.progress(spec.run_id)
    assert (start.gaps, start.acknowledged, start.total, start.planned) == (1, 0, 10, 10)
    assert (start.created_at, start.created_at.tzinfo) == (spec.created_at, UTC)
    missing = (start.last_acknowledged_at, start.finished_at, start.last_error, start.last_error_at)
    assert missing == (None,) * 4
    before = _server_time(redis)
    ledger.acknowledge(spec.run_id, BatchRange(1, 4), NOTHING)
    ledger.note_error(spec.run_id, "the disk is full")
    progress = ledger.progress(spec.run_id)
    assert (progress.gaps, progress.acknowledged, progress.last_error) == (2, 3, "the disk is full")
    acknowledged, noted = progress.last_acknowledged_at, progress.last_error_at
    assert acknowledged is not None
    assert noted is not None
    assert before <= acknowledged <= noted <= _server_time(redis)
    for done, gaps in ((BatchRange(5, 8), 3), (BatchRange(0, 1), 2), (BatchRange(9, 10), 2)):
        ledger.acknowledge(spec.run_id, done, NOTHING)
        assert ledger.progress(spec.run_id).gaps == gaps
    ledger.acknowledge(spec.run_id, BatchRange(0, 10), NOTHING)
    assert ledger.progress(spec.run_id).gaps == 0


def _server_time(redis: Redis) -> datetime:
    seconds, microseconds = redis.time()
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)


def test_failures_are_recorded_before_their_range_is_acknowledged(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    failures = {
        DocumentFailure("shop.orders:4", "4", "shop.orders", "too large"),
        DocumentFailure("shop.orders:5", "5", "shop.orders", "refused", bson_id="00ff", index=5),
    }
    ledger.record_failures(spec.run_id, [])
    assert list(ledger.failures(spec.run_id)) == []
    for _ in range(2):
        ledger.record_failures(spec.run_id, list(failures))
    assert set(ledger.failures(spec.run_id)) == failures
    progress = ledger.progress(spec.run_id)
    assert (progress.failures, progress.acknowledged) == (2, 0)


def test_tokens_are_waited_for_as_long_as_the_rate_takes(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)

    def take(wanted: float, longest_wait: float) -> TokenGrant:
        bucket = BucketRequest("documents", wanted, limit=100.0)
        return ledger.take_tokens(spec.run_id, TokenRequest([bucket], longest_wait))

    first = take(200, 5)
    assert (first.granted, first.controller_rate, first.epoch) == (True, None, 0)
    second = take(1, 5)
    assert second.granted
    assert 1.0 < second.wait_seconds <= 2.0
    assert not take(1, 0.5).granted
    assert ledger.throttled_rate(spec.run_id) is None


def test_a_rate_that_a_target_accepts_is_known_for_half_a_minute(
    ledger: RedisLedger, redis: Redis
) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    budget = RunKeys(spec.run_id).budget
    seconds, _ = redis.time()

    def rate(seen_ago: float, *more: str) -> ThrottledRate | None:
        redis.delete(budget)
        seen_at = f"{(seconds - seen_ago) * 1e6:.0f}"
        redis.hset(budget, items=["rate", "3688.5", "seen_at", seen_at, *more])
        return ledger.throttled_rate(spec.run_id)

    assert rate(0) == ThrottledRate(3688.5, in_request_units=False)
    assert rate(25, "request_units:at", "1") == ThrottledRate(3688.5, in_request_units=True)
    assert rate(31) is None
    redis.hdel(budget, "rate")
    assert ledger.throttled_rate(spec.run_id) is None, "the controller only observes at first"


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
    ledger.acknowledge(spec.run_id, BatchRange(0, TOTAL), NOTHING)
    ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)
    assert ledger.progress(spec.run_id).notes == (*notes, view)
    ledger.set_notes(spec.run_id, NoteTopic.SOURCE, [])
    assert ledger.progress(spec.run_id).notes == (view,)
    with pytest.raises(UnknownName):
        ledger.set_notes("no-such-run", NoteTopic.SOURCE, notes)


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
    """Anyone with access to Redis can put anything there, and workers read it all the time."""
    due = {"garbage": 0, "two many words": 0, "gen-1 watch": 0}
    redis.zadd(due_key("dataworks"), due)
    assert ledger.driver.claim("dataworks", 10, 5.0) == [DueStep("gen-1", "watch")]
