"""Why a run makes no progress, in one line; and which alerts say so."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from redis import Redis

from dataworks_tasks.ledger.contract import WORKING, RangeResult, RunState
from dataworks_tasks.ledger.follow_gauge import FollowGauge
from dataworks_tasks.ledger.key_windows import Append
from dataworks_tasks.ledger.keys import WORKERS, RunKeys
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.redis_server import RedisMemory
from dataworks_tasks.ledger.tokens import BucketRequest, TokenRequest
from dataworks_tasks.ledger.worker_registry import LivingWorker
from dataworks_tasks.monitor.alert_rules import alert_rules
from dataworks_tasks.monitor.alerts import AlertBoard
from dataworks_tasks.monitor.operation import PerformanceMonitor
from dataworks_tasks.monitor.standstill import (
    cause_of_standstill,
    has_lost_its_command,
    standstill,
)
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.command_queue import command_queue
from dataworks_tasks.settings import FrameworkConfig
from producer.drive import causes
from producer.drive.causes import Causes
from tests.contract.contract_support import generation_spec, migration_spec

QUEUE = "dataworks"


@pytest.fixture(autouse=True)
def _no_workers_of_others(redis: Redis) -> None:
    redis.delete(WORKERS)


def running(ledger: RedisLedger, queue: str = QUEUE) -> str:
    spec = generation_spec(100)
    ledger.create(spec, 100, queue, ["watch"] if queue else [])
    if queue:
        ledger.windows.open(spec.run_id, queue, 10, 2)
    return spec.run_id


def cause(ledger: RedisLedger, run_id: str) -> str | None:
    return cause_of_standstill(ledger, ledger.progress(run_id))


def enter(ledger: RedisLedger, id_: str, queue: str = QUEUE, clock: float = 0.0) -> None:
    ledger.workers.enter(LivingWorker(id_, f"celery@{id_}", (queue,), "prefork", 2, clock, "1"))


def test_nobody_is_there(ledger: RedisLedger) -> None:
    run_id = running(ledger)
    assert str(cause(ledger, run_id)).startswith(
        "no worker is running; start one: dataworks worker"
    )
    ledger.change_state(run_id, frozenset({RunState.RUNNING}), RunState.PAUSED)
    assert cause(ledger, run_id) is None


def test_a_run_that_follows_an_idle_source_waits_for_nobody(
    ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataworks_tasks.monitor.standstill._QUIET_SECONDS", -60.0)
    enter(ledger, "w1")
    spec = migration_spec()
    ledger.create(spec, None, QUEUE, ["watch"])
    ledger.windows.open(spec.run_id, QUEUE, 1, 2)
    other = running(ledger)
    assert cause(ledger, spec.run_id) == f"waiting for {other}"
    ledger.key_windows.note_following(spec.run_id, FollowGauge(0.0, 0.0))
    assert cause(ledger, spec.run_id) is None
    ledger.key_windows.append(spec.run_id, Append([b"window"]))
    assert cause(ledger, spec.run_id) == f"waiting for {other}"


def test_a_run_that_paused_itself_says_why(ledger: RedisLedger) -> None:
    run_id = running(ledger)
    enter(ledger, "w1")
    reason = "drop of shop.orders at the source"
    ledger.change_state(run_id, frozenset({RunState.RUNNING}), RunState.PAUSED, reason)
    assert cause(ledger, run_id) == reason
    ledger.change_state(run_id, frozenset({RunState.PAUSED}), RunState.RUNNING)
    assert cause(ledger, run_id) is None


def silence(redis: Redis, id_: str) -> None:
    """Let a worker's latest report be an hour old."""
    entry = json.loads(redis.hgetall(WORKERS)[id_.encode()])
    redis.hset(WORKERS, id_, json.dumps({**entry, "at": entry["at"] - 3600}))


def test_a_worker_that_said_nothing_for_long_is_gone(ledger: RedisLedger, redis: Redis) -> None:
    enter(ledger, "w1")
    silence(redis, "w1")
    assert ledger.workers.alive() == []
    enter(ledger, "w2")
    assert redis.hkeys(WORKERS) == [b"w2"], "it is forgotten"
    ledger.workers.leave("w2")
    assert not redis.exists(WORKERS)


def test_workers_that_take_from_another_queue(ledger: RedisLedger) -> None:
    enter(ledger, "w1", "fast")
    assert cause(ledger, running(ledger)) == (
        "no worker takes from the queue dataworks: celery@w1 takes from fast; "
        "set FRAMEWORK_QUEUE=dataworks there"
    )


def test_a_run_whose_command_has_ended_waits_for_no_other_worker(ledger: RedisLedger) -> None:
    """Its queue is the command's own, so no setting of another worker can help."""
    enter(ledger, "w1")
    queue = command_queue(4711)
    run_id = running(ledger, queue)
    assert has_lost_its_command(ledger, run_id)
    assert cause(ledger, run_id) == (
        f"the workers of its command have ended; continue with: dataworks resume {run_id}"
    )
    enter(ledger, "w2", queue)
    assert not has_lost_its_command(ledger, run_id)
    assert cause(ledger, run_id) is None
    assert not has_lost_its_command(ledger, running(ledger))


@pytest.mark.parametrize(("seconds", "side"), [(300, "ahead"), (-300, "behind")])
def test_a_clock_that_is_off(ledger: RedisLedger, seconds: float, side: str) -> None:
    enter(ledger, "w3", clock=seconds)
    assert cause(ledger, running(ledger)) == (
        f"the clock of celery@w3 is 300 s {side}; synchronize it with NTP"
    )


def test_an_error_counts_until_something_is_acknowledged(ledger: RedisLedger) -> None:
    enter(ledger, "w1")
    run_id = running(ledger)
    assert cause(ledger, run_id) is None
    ledger.note_error(run_id, "the target's disk is full")
    assert cause(ledger, run_id) == "the target's disk is full"
    ledger.acknowledge(run_id, BatchRange(0, 10), RangeResult({}))
    assert cause(ledger, run_id) is None
    own = running(ledger, "")
    ledger.note_error(own, "the target does not answer")
    assert cause(ledger, own) == "the target does not answer"


def test_why_a_run_is_paused_stays_until_it_continues(ledger: RedisLedger) -> None:
    run_id = running(ledger)
    ledger.change_state(run_id, WORKING, RunState.PAUSED, "shop.orders was dropped")
    ledger.note_error(run_id, "the source does not answer")
    assert cause(ledger, run_id) == "shop.orders was dropped"
    ledger.change_state(run_id, frozenset({RunState.PAUSED}), RunState.RUNNING)
    ledger.note_error(run_id, "the source does not answer")
    assert ledger.progress(run_id).last_error == "the source does not answer"


def test_a_full_redis(ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = running(ledger)
    monkeypatch.setattr(ledger, "memory", lambda: RedisMemory(256_000_000, 256_000_000))
    assert cause(ledger, run_id) == "Redis is full (256 of 256 MB); give it more memory"


def test_a_redis_without_room_on_its_disk(
    ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = running(ledger)
    full = RedisMemory(cannot_write=True, folder="/data")
    monkeypatch.setattr(ledger, "memory", lambda: full)
    assert cause(ledger, run_id) == (
        "Redis cannot write to the disk of /data and stores nothing; free space there"
    )
    monkeypatch.setattr(ledger, "memory", lambda: RedisMemory(cannot_write=True))
    assert cause(ledger, run_id) == (
        "Redis cannot write to its disk and stores nothing; free space there"
    )


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    "trouble", ["full disk", "full memory", "no answer", "late answer", "late cause"]
)
def test_workers_that_could_not_report_have_not_ended(
    ledger: RedisLedger, redis: Redis, monkeypatch: pytest.MonkeyPatch, trouble: str, own: bool
) -> None:
    """Redis stored nothing for a minute: for a moment after that, silence means nothing."""
    now = 1000.0
    monkeypatch.setattr(causes, "time", SimpleNamespace(monotonic=lambda: now))
    queue = command_queue(4711) if own else QUEUE
    run_id = running(ledger, queue)
    enter(ledger, "w1", queue)
    watched = Causes(ledger, at_once=True)
    assert watched.of(ledger.progress(run_id)).cause is None
    silence(redis, "w1")
    if trouble == "no answer":
        watched.note_outage()
    elif trouble == "late answer":
        now += 60.0
    elif trouble == "late cause":

        def late() -> RedisMemory:
            nonlocal now
            now += 60.0
            return RedisMemory()

        with monkeypatch.context() as patched:
            patched.setattr(ledger, "memory", late)
            now += 2.0
            assert watched.of(ledger.progress(run_id)).cause is None
    else:
        full = RedisMemory(cannot_write=True) if trouble == "full disk" else RedisMemory(256, 256)
        with monkeypatch.context() as patched:
            patched.setattr(ledger, "memory", lambda: full)
            now += 2.0
            found = watched.of(ledger.progress(run_id))
            assert not has_lost_its_command(ledger, run_id)
        assert str(found.cause).startswith("Redis ")
        assert found.has_workers
    monkeypatch.setattr("dataworks_tasks.monitor.standstill._SILENT_SECONDS", -60.0)
    ledger.windows.take(run_id, BatchRange(0, 10), "w1", 60)
    now += 2.0
    found = watched.of(ledger.progress(run_id))
    assert (found.cause, found.has_workers, found.workers) == (None, True, None)
    for _ in range(5):
        now += 2.0
        found = watched.of(ledger.progress(run_id))
    assert "worker" in str(found.cause)
    assert has_lost_its_command(ledger, run_id) == own
    assert (found.has_workers, found.workers) == (False, ())
    enter(ledger, "w1", queue)
    now += 2.0
    found = watched.of(ledger.progress(run_id))
    assert "nothing was acknowledged for" in str(found.cause)
    assert [worker.id for worker in found.workers or ()] == ["w1"]


def test_a_database_that_gives_no_answer(
    ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = running(ledger)
    enter(ledger, "w1")
    ledger.windows.take(run_id, BatchRange(0, 10), "celery@w1", 60)
    assert cause(ledger, run_id) is None
    monkeypatch.setattr("dataworks_tasks.monitor.standstill._SILENT_SECONDS", -1.0)
    assert "nothing was acknowledged for" in str(cause(ledger, run_id))
    ledger.acknowledge(run_id, BatchRange(0, 10), RangeResult({}))
    monkeypatch.setattr("dataworks_tasks.monitor.standstill._SILENT_SECONDS", 30.0)
    assert cause(ledger, run_id) is None


def test_waiting_for_another_run(ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(ledger, "w1")
    other, run_id = running(ledger), running(ledger)
    monkeypatch.setattr("dataworks_tasks.monitor.standstill._QUIET_SECONDS", -60.0)
    assert other in str(cause(ledger, run_id))
    ledger.windows.refill(run_id)
    ledger.windows.take(run_id, BatchRange(0, 10), "w", 60)
    assert cause(ledger, run_id) is None


@pytest.mark.parametrize(("bucket", "unit"), [("request_units", "RU"), ("documents", "documents")])
def test_a_target_that_throttles(ledger: RedisLedger, redis: Redis, bucket: str, unit: str) -> None:
    enter(ledger, "w1")
    run_id, wanted = running(ledger), [BucketRequest(bucket, 1.0, controlled=True)]
    joins = TokenRequest(wanted, 5.0, joins=True, accepted_rate=1000.0)
    ledger.take_tokens(run_id, joins)
    assert cause(ledger, run_id) is None, "the controller only observes at first"
    redis.hset(RunKeys(run_id).budget, "rate", "3688.2")
    grant = ledger.take_tokens(run_id, TokenRequest(wanted, 5.0))
    assert grant.controller_rate == 3688.2
    assert cause(ledger, run_id) == f"the target throttles: it accepts 3,688 {unit}/s from this run"
    redis.hset(RunKeys(run_id).budget, "seen_at", "0")
    assert cause(ledger, run_id) is None, "nobody has asked for tokens lately"


def test_a_run_without_workers_does_not_alert_for_ever(ledger: RedisLedger) -> None:
    run_id, board = running(ledger), AlertBoard(alert_rules(FrameworkConfig()))
    found = standstill(ledger, ledger.progress(run_id))

    def alerts(after: timedelta) -> list[str]:
        now = datetime.now(UTC) + after
        metrics = PerformanceMonitor().observe(
            ledger.progress(run_id), BatchRange(0, 100), now, found
        )
        return [f"{alert['name']} {alert['state']}" for alert in board.check(metrics)]

    assert alerts(timedelta(seconds=10)) == []
    assert alerts(timedelta(minutes=10)) == ["no-worker raised"]
    assert "no worker is running" in board.raised[0]["message"]
    assert alerts(timedelta(minutes=20)) == []
    assert alerts(timedelta(days=2)) == ["no-worker ended"]
