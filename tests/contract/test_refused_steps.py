"""A worker that cannot read a run's spec leaves the run's steps to the others."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from dataworks_tasks.drive.start_run import REFUSED_STEP_SECONDS
from dataworks_tasks.ledger.keys import RunKeys, due_key
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.windows import WAKE, DueStep
from dataworks_tasks.runs.spec import FORMAT_VERSION
from dataworks_tasks.worker.drive_run import drive_run
from dataworks_tasks.worker.driver_timer import DueMessages
from tests.contract.contract_support import generation_spec

QUEUE = "fleet"


@pytest.fixture
def newer(ledger: RedisLedger, redis: Redis) -> str:
    """Record a run of a newer version, with a queue."""
    spec = generation_spec(10)
    ledger.create(spec, 10)
    redis.hset(RunKeys(spec.run_id).record, "queue", QUEUE)
    newer = {**json.loads(spec.to_json()), "format": FORMAT_VERSION + 1}
    redis.set(RunKeys(spec.run_id).spec, json.dumps(newer))
    return spec.run_id


def _due_in(redis: Redis, run_id: str, step: str) -> float:
    seconds, microseconds = redis.time()
    moment = redis.zscore(due_key(QUEUE), f"{run_id} {step}")
    assert moment is not None, "nobody would ever look after it"
    return float(moment) - seconds - microseconds / 1e6


@pytest.mark.parametrize("step", ["watch", "plan", WAKE])
def test_a_step_that_it_noticed_is_due_again_soon(
    ledger: RedisLedger, redis: Redis, newer: str, step: str
) -> None:
    ledger.driver.schedule(newer, QUEUE, (step,), 0)
    app: Any = None  # nothing may be sent
    DueMessages(app, ledger, [QUEUE])()
    assert 0 < _due_in(redis, newer, step) <= REFUSED_STEP_SECONDS


def test_a_step_whose_message_it_took_is_due_again_soon(
    ledger: RedisLedger, redis: Redis, newer: str
) -> None:
    process: Any = SimpleNamespace(ledger=ledger, spec=ledger.spec)
    app: Any = None
    drive_run(process, app, DueStep(newer, "watch"))
    assert 0 < _due_in(redis, newer, "watch") <= REFUSED_STEP_SECONDS
    assert "pip install -U dataworks" in str(ledger.progress(newer).last_error)
