"""A live migration from a program."""

from __future__ import annotations

import asyncio

import pytest

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.database import DatabaseConfig
from producer import CutOverRequest, MigrationRequest, create_migration_engine
from tests.fleet import Fleet
from tests.integration.sync.test_follow import check_equal, fill


def settings(fleet: Fleet) -> FrameworkConfig:
    url = fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    database = DatabaseConfig.model_validate({"connection_string": url})
    return FrameworkConfig.model_validate(
        {
            "broker_url": fleet.environment["FRAMEWORK_BROKER_URL"],
            "source": database,
            "target": database,
            "claim_seconds": 3,
            "late_write_seconds": 2,
        }
    )


def test_a_program_follows_and_cuts_over(
    live_fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = live_fleet
    monkeypatch.chdir(fleet.folder)
    fleet.start_worker(2)
    fill(fleet, "orders", count=50)
    names = f"{fleet.database}.*"
    request = MigrationRequest(include=(names,), mappings=(f"{names}={fleet.database}_copy.*",))

    async def move() -> None:
        engine = create_migration_engine(settings(fleet))
        run = await engine.migrate(request, follow=True)
        assert await run.caught_up() <= 10
        fleet.mongo[fleet.database].orders.delete_many({"_id": {"$lt": 10}})
        result = await engine.followed_run(run.run_id).cutover(CutOverRequest(quiet_seconds=1))
        assert (result.state, result.failures) == (RunState.COMPLETE, 0)
        with pytest.raises(UsageError, match="workers"):
            await create_migration_engine(settings(fleet), in_process=True).migrate(
                request, follow=True
            )

    asyncio.run(move())
    check_equal(fleet, "orders")


def test_a_program_accepts_a_collection_that_is_gone(
    live_fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison of both sides leaves it out, as that of the command does."""
    fleet = live_fleet
    monkeypatch.chdir(fleet.folder)
    fleet.start_worker(2)
    fill(fleet, "orders", "people", count=50)
    names = f"{fleet.database}.*"
    request = MigrationRequest(include=(names,), mappings=(f"{names}={fleet.database}_copy.*",))
    accepting = CutOverRequest(verify="full", quiet_seconds=1, accept_failures=True)

    async def move() -> None:
        engine = create_migration_engine(settings(fleet))
        run = await engine.migrate(request, follow=True)
        assert await run.caught_up() <= 10
        fleet.mongo[fleet.database].people.drop()
        fleet.wait_for_state(run.run_id, RunState.PAUSED)
        fleet.run("resume", run.run_id, "--detach")
        result = await engine.followed_run(run.run_id).cutover(accepting)
        assert result.state is RunState.COMPLETE

    asyncio.run(move())
    check_equal(fleet, "orders")
    assert fleet.mongo[f"{fleet.database}_copy"].people.count_documents({}) == 50
