"""Acknowledged ranges and their gaps, on any Redis."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from dataworks_tasks.ledger import acknowledged_ranges
from dataworks_tasks.ledger.keys import RunKeys
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.batch_range import BatchRange
from tests.contract.contract_support import (
    NOTHING,
    TOTAL,
    counted,
    generation_spec,
)
from tests.contract.ledger_model import LedgerModel

ranges = st.tuples(st.integers(0, TOTAL - 1), st.integers(1, TOTAL)).map(
    lambda pair: (pair[0], min(TOTAL, pair[0] + pair[1]))
)


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
        ledger.acknowledge(spec.run_id, BatchRange(start, stop), NOTHING)
    assert list(ledger.gaps(spec.run_id, BatchRange(5, 25))) == [BatchRange(10, 20)]
    assert list(ledger.gaps(spec.run_id, BatchRange(25, 60))) == [BatchRange(30, 50)]
    assert list(ledger.gaps(spec.run_id, BatchRange(60, 80))) == []


def test_gaps_beyond_one_page(ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledged_ranges, "_PAGE", 20)
    spec = generation_spec(200)
    ledger.create(spec, 200)
    for start in range(0, 200, 2):
        ledger.acknowledge(spec.run_id, BatchRange(start, start + 1), NOTHING)
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
        ledger.acknowledge(spec.run_id, BatchRange(number, number + 1), NOTHING)
    assert redis.zrange(RunKeys(spec.run_id).acknowledged, 0, -1) == [b"0:300"]
