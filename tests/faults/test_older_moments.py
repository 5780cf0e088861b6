"""A Redis that comes back from an older moment: what it says is wrong, and every run ends exactly.

Append-only files are written to disk once a second, and a replica lags: after a crash or a
failover the last steps are gone, whichever they were.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.client import Pipeline

from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.redis_steps import RedisSteps
from dataworks_tasks.settings import ConfigManager
from producer import create_generation_engine, create_migration_engine
from producer.start.run_request import MigrationRequest, RunOptions
from tests.fleet import Fleet
from tests.support.exact import (
    check_copied,
    expected_documents,
    fill_source,
    migrate_arguments,
)
from tests.support.redis_moments import Moment, Recorder, after_each_call

TOTAL = 3000


def test_a_fleet_ends_a_migration_from_every_stage_of_it(fleet: Fleet) -> None:
    """Nobody calls resume; nothing notified the workers."""
    fill_source(fleet, TOTAL)
    fleet.start_worker(2)
    with Recorder(fleet.redis) as recorder:
        run_id = fleet.run_json(*migrate_arguments(fleet, batch_size=40))["run"]
    check_copied(fleet, run_id)
    stages = list(recorder.moments)
    assert "planning True" in stages
    assert len(stages) >= 4
    for stage in stages:
        recorder.moments[stage].bring_back(fleet.redis)
        fleet.wait_for_state(run_id, RunState.COMPLETE)
        check_copied(fleet, run_id)


@pytest.fixture
def moments(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> list[Moment]:
    """Return the moment after every step that this process does on the ledger."""
    found: list[Moment] = []
    original = RedisSteps.guard
    recorded = after_each_call(original, fleet.redis, found)
    monkeypatch.setattr(RedisSteps, "guard", recorded)
    return found


def _config(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.chdir(tmp_path)
    for name, value in fleet.environment.items():
        monkeypatch.setenv(name, value)
    return ConfigManager().load_config()


@pytest.mark.situation(
    14,
    "Redis loses its last moment, whatever step of a migration it was",
    before="`running`, gaps 0, for ever; `resume`, `--rebuild` and `verify` had no way out",
    now="planning continues from what is on record, `complete`, exit 0",
)
def test_each_step_of_a_migration_may_be_the_last_that_redis_kept(
    fleet: Fleet, moments: list[Moment], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill_source(fleet, 100)
    engine = create_migration_engine(_config(fleet, monkeypatch, tmp_path), in_process=True)
    source, target = f"{fleet.database}.source", f"{fleet.database}.copy"
    request = MigrationRequest(include=(source,), to=target, options=RunOptions(batch_size=20))
    result = asyncio.run(engine.migrate(request))
    kept = [moment for moment in moments if moment.record]
    monkeypatch.undo()
    assert len(kept) > 10
    for moment in kept:
        moment.bring_back(fleet.redis)
        asyncio.run(engine.resume(result.run_id))
        check_copied(fleet, result.run_id)


def test_each_step_of_a_generation_may_be_the_last_that_redis_kept(
    fleet: Fleet, moments: list[Moment], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = create_generation_engine(_config(fleet, monkeypatch, tmp_path), in_process=True)
    made = engine.generate_data(
        "service_order", 100, f"{fleet.database}.orders", 1, RunOptions(batch_size=20)
    )
    result = asyncio.run(made)
    kept = [moment for moment in moments if moment.record]
    monkeypatch.undo()
    assert len(kept) > 5
    assert len(expected_documents(100)) == 100
    for moment in kept:
        moment.bring_back(fleet.redis)
        asyncio.run(engine.resume(result.run_id))
        progress = fleet.ledger.progress(result.run_id)
        assert (progress.state, progress.gaps) == (RunState.COMPLETE, 0)
        assert progress.counters["documents"] == 100
        assert len(fleet.raw_documents("orders")) == 100


@pytest.mark.situation(
    14,
    "a plan of 60 slices of which 31 are on record",
    before='"15,500 of 15,500, gaps 0, running" for ever',
    now="planned further, `complete`",
)
def test_a_plan_that_version_0_1_closed_too_early_is_planned_further(fleet: Fleet) -> None:
    """``total`` 75 with 31 planned: "running, gaps 0" for ever, and nothing helped."""
    fill_source(fleet, TOTAL)
    worker = fleet.start_worker(2)
    with Recorder(fleet.redis) as recorder:
        run_id = fleet.run_json(*migrate_arguments(fleet, batch_size=40))["run"]
    assert worker
    early = recorder.moments["planning True"]
    record = f"dataworks:{{{run_id}}}:record"

    def close_too_early(pipe: Pipeline) -> None:
        pipe.hset(record, mapping={"total": 75, "state": "running"})
        pipe.hdel(record, "last_slice")

    early.bring_back(fleet.redis, close_too_early)
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    assert fleet.raw_documents("copy") == fleet.raw_documents("source")
    assert fleet.run_json("verify", run_id)["failures"] == 0
