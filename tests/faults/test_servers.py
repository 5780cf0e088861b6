"""A primary that steps down, a database that refuses documents, and people who interfere."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Any

import psutil
import pymongo
import pytest

from dataworks_tasks.ledger.contract import RunState
from producer.local.services import LocalServices, RunningService
from tests.fleet import QUEUE_LISTS, Fleet, wait_until
from tests.support.exact import (
    check_copied,
    check_exact,
    expected_documents,
    fill_source,
    generate_arguments,
    migrate_arguments,
)


def test_a_primary_steps_down_and_restarts(
    own_services: LocalServices, own_replica_fleet: Fleet
) -> None:
    fleet = own_replica_fleet
    fleet.start_worker(2)
    total = 20_000
    producer = fleet.start(*generate_arguments(fleet, total, "--max-rate", 4000))
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.2)
    step_down = {"replSetStepDown": 1, "force": True}
    with suppress(pymongo.errors.AutoReconnect):
        fleet.mongo.admin.command(step_down)
    fleet.wait_for_share(run_id, 0.5)
    own_services.restart("mongod", signal.SIGKILL)
    assert producer.wait(100) == 0
    check_exact(fleet, run_id, total)


def test_documents_that_the_database_refuses_are_on_record(fleet: Fleet) -> None:
    """A validation rule and a unique index refuse some; the rest arrives as meant."""
    fleet.start_worker(2)
    total = 3000
    database = fleet.mongo[fleet.database]
    documents = expected_documents(total)
    database.create_collection("orders", validator={"$expr": {"$ne": [REMAINDER, 0]}})
    done = fleet.run(*generate_arguments(fleet, total, batch_size=500), check=False)
    assert done.returncode == 4, done.stderr
    run_id = fleet.newest_run()
    there = fleet.raw_documents("orders")
    failures = list(fleet.ledger.failures(run_id))
    assert 0 < len(failures) < total
    assert len(there) + len(failures) == total
    assert set(there) < set(documents)
    assert all("validation" in failure.reason for failure in failures)
    database.command("collMod", "orders", validator={})
    assert fleet.run_json("retry", run_id)["failures"] == 0
    check_exact(fleet, run_id, total)


REMAINDER: dict[str, Any] = {"$mod": [{"$bsonSize": "$$ROOT"}, 7]}


def test_a_unique_index_that_the_data_hits(fleet: Fleet) -> None:
    fleet.start_worker(1)
    total = 1000
    collection = fleet.mongo[fleet.database]["copy"]
    collection.create_index("n", unique=True)
    source = fleet.mongo[fleet.database]["source"]
    source.insert_many({"_id": number, "n": number % 900} for number in range(total))
    done = fleet.run(*migrate_arguments(fleet, batch_size=100), check=False)
    assert done.returncode == 4, done.stderr
    failures = list(fleet.ledger.failures(fleet.newest_run()))
    assert collection.count_documents({}) == 900
    assert len(failures) == 100
    assert all("unique index" in failure.reason for failure in failures)


@pytest.mark.soak
def test_two_producers_on_one_generation(fleet: Fleet) -> None:
    total = 10_000
    arguments = generate_arguments(fleet, total, "--detach", "--max-rate", 4000, batch_size=200)
    run_id = str(fleet.run_json(*arguments)["run"])
    producers = [fleet.start("resume", run_id) for _ in range(2)]
    fleet.start_worker(2)
    assert [producer.wait(90) for producer in producers] == [0, 0]
    check_exact(fleet, run_id, total)


def test_two_producers_plan_one_migration(fleet: Fleet) -> None:
    fill_source(fleet, 4000)
    first = fleet.start(*migrate_arguments(fleet, batch_size=20))
    run_id = fleet.newest_run()
    others = [fleet.start("resume", run_id) for _ in range(2)]
    fleet.start_worker(2)
    assert [producer.wait(90) for producer in (first, *others)] == [0, 0, 0]
    check_copied(fleet, run_id)


def test_a_run_is_cancelled_while_workers_are_busy(fleet: Fleet) -> None:
    fleet.start_worker(2)
    total = 20_000
    producer = fleet.start(*generate_arguments(fleet, total, "--max-rate", 4000))
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.2)
    fleet.run("cancel", run_id)
    assert producer.wait(60) == 3
    wait_until(lambda: not fleet.waiting(), "workers empty the queue")
    wait_until(lambda: not fleet.redis.hlen("unacked"), "workers let go of the run")
    stopped = fleet.ledger.progress(run_id)
    assert stopped.state is RunState.CANCELLED
    assert stopped.acknowledged < total
    assert len(fleet.raw_documents("orders")) >= stopped.acknowledged
    fleet.run_json("resume", run_id)
    check_exact(fleet, run_id, total)


@pytest.mark.soak
def test_workers_are_told_to_shut_down(fleet: Fleet) -> None:
    from dataworks_tasks.broker.create_app import create_app
    from dataworks_tasks.settings import FrameworkConfig

    worker = psutil.Process(fleet.start_worker(1).pid)
    total = 10_000
    producer = fleet.start(*generate_arguments(fleet, total, "--max-rate", 4000))
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.2)
    app = create_app(FrameworkConfig(broker_url=fleet.environment["FRAMEWORK_BROKER_URL"]))
    app.control.shutdown()
    wait_until(lambda: not worker.is_running() or worker.status() == "zombie", "it leaves")
    app.close()
    fleet.start_worker(1)
    assert producer.wait(90) == 0
    check_exact(fleet, run_id, total)


@pytest.fixture
def own_replica_fleet(own_services: LocalServices, tmp_path: Any) -> Any:
    """Return a fleet on a replica set of one of this test's own."""
    import redis

    own_services.start_valkey()
    own_services.start_mongod(replica_set=True)
    environment = {
        "FRAMEWORK_BROKER_URL": own_services.redis_url,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": own_services.mongodb_url,
        "FRAMEWORK_STALL_SECONDS": "2",
    }

    def start_worker(concurrency: int = 1) -> RunningService:
        return own_services.start_worker(environment, concurrency)

    with (
        pymongo.MongoClient[dict[str, Any]](own_services.mongodb_url) as mongo,
        redis.Redis.from_url(own_services.redis_url) as client,
    ):
        made = Fleet(environment, client, mongo, "shop", tmp_path, start_worker)
        yield made
        made.close()


@pytest.mark.parametrize(
    "arguments", [generate_arguments, pytest.param(migrate_arguments, marks=pytest.mark.soak)]
)
def test_a_detached_run_survives_a_restart_of_redis_that_loses_its_messages(
    own_services: LocalServices, own_fleet: Fleet, arguments: Any
) -> None:
    """With the settings as they are when nobody sets any: nobody watches, nobody resumes."""
    fleet, total = own_fleet, 2000
    del fleet.environment["FRAMEWORK_STALL_SECONDS"]
    fleet.start_worker(2)
    is_generation = arguments is generate_arguments
    if not is_generation:
        fill_source(fleet, total)
    words = arguments(
        fleet, *((total,) if is_generation else ()), "--max-rate", 1000, "--detach", batch_size=100
    )
    run_id = str(fleet.run_json(*words)["run"])
    fleet.wait_for_share(run_id, 0.2)
    fleet.redis.delete(*QUEUE_LISTS)
    own_services.restart("valkey", signal.SIGKILL)
    before = fleet.ledger.progress(run_id).acknowledged
    wait_until(lambda: fleet.ledger.progress(run_id).acknowledged > before, "it continues", 15)
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    if is_generation:
        check_exact(fleet, run_id, total)
    else:
        check_copied(fleet, run_id)
