"""The history and the events of a run, on any Redis."""

from __future__ import annotations

import time

import pytest
from redis import Redis

from dataworks_tasks.errors import UnknownName
from dataworks_tasks.ledger import run_histories
from dataworks_tasks.ledger.follow_gauge import FollowGauge
from dataworks_tasks.ledger.history import RunEvent
from dataworks_tasks.ledger.keys import RunKeys
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.redis_steps import as_mapping
from dataworks_tasks.runs.batch_range import BatchRange
from tests.contract.contract_support import (
    TOTAL,
    counted,
    generation_spec,
)


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


@pytest.mark.parametrize(("silent", "lag"), [(1.0, 2.0), (600.0, 602.0)])
def test_a_run_falls_behind_while_nobody_reads_its_source(
    ledger: RedisLedger, redis: Redis, silent: float, lag: float
) -> None:
    spec = generation_spec(TOTAL)
    ledger.create(spec, TOTAL)
    gauge = FollowGauge(seen_at=time.time() - silent, lag_seconds=2.0)
    redis.hset(RunKeys(spec.run_id).record, mapping=as_mapping(gauge.fields()))
    ledger.history.sample(spec.run_id)
    (sample,) = ledger.history.read(spec.run_id)
    assert sample.lag_seconds == pytest.approx(lag, abs=5)


def test_the_speed_of_index_builds_is_learned_by_target(ledger: RedisLedger) -> None:
    speeds = ledger.index_speeds
    assert speeds.read("db:27017") is None
    speeds.learn("db:27017", 0.2, 0.1)
    assert speeds.read("db:27017") is None, "so short a build says nothing"
    speeds.learn("db:27017", 40.0, 20.0)
    assert speeds.read("db:27017") == pytest.approx((2, 2, 2))
    speeds.learn("db:27017", 40.0, 40.0)
    assert speeds.read("db:27017") == pytest.approx((1, 60 / 50, 2)), "the newest counts most"
    for _ in range(20):
        speeds.learn("db:27017", 40.0, 40.0)
    assert speeds.read("db:27017") == pytest.approx((1, 1, 1)), "an old one is forgotten"
    assert speeds.read("elsewhere:27017") is None
