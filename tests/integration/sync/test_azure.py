"""Following from and to simulated Azure accounts: no deletions, opaque positions, throttling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pymongo
import pytest

from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.sync.follow_place import PLACE, FollowPlace
from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig
from producer.cosmos_simulator.config import FaultDials, Service
from tests.fleet import Fleet, wait_until
from tests.integration.sync.writers import SimpleWriters, raw_documents

LEGACY_DRIVER = "4.10.1"
StartSimulator = Callable[..., str]
FAULTS = FaultDials(
    throttle_share=0.05,
    cursor_cut_share=0.05,
    drop_before_share=0.025,
    drop_after_share=0.025,
    seed=5,
)


@pytest.fixture
def simulated(replica_set_url: str) -> Iterator[StartSimulator]:
    """Start a simulated account in front of the shared replica set; its URL."""
    with ExitStack() as stack:

        def start(**settings: Any) -> str:
            config = SimulatorConfig(replica_set_url, change_streams=True, **settings)
            url: str = stack.enter_context(CosmosSimulator(config)).url
            return url

        yield start


def follow(fleet: Fleet, source: str, target: str, *more: object) -> str:
    """Start a migration that follows between two databases of the fleet's servers; its run id."""
    names = ("--include", f"{source}.*", "--map", f"{source}.*={target}.*")
    return str(
        fleet.run_json(
            "migrate", *names, "--follow", "--detach", "--different-servers", "--batch-size", 50,
            *more,
        )["run"]
    )  # fmt: skip


def use(fleet: Fleet, source: str, target: str) -> None:
    """Make these the source and the target of commands and of workers that start from now on."""
    fleet.environment.update(
        {
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": source,
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING": target,
            "FRAMEWORK_STALE_READ_SECONDS": "1",
            "FRAMEWORK_DELETE_SCAN_SECONDS": "2",
        }
    )


def move(fleet: Fleet, writers_url: str, source: str, target: str, *, first: bool = True) -> str:
    """Follow while somebody writes and deletes, then cut over; the run."""
    worker = fleet.start_worker(2)
    with pymongo.MongoClient[dict[str, Any]](writers_url) as client:
        if first:
            client[source].orders.insert_many([{"_id": n, "n": n} for n in range(100)])
        with SimpleWriters(client[source].orders, seed=4) as writers:
            run = follow(fleet, source, target)
            wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
            changes = writers.changes
            wait_until(lambda: writers.changes > changes + 60, "changes are followed")
    fleet.run("cutover", run, "--quiet", "2s")
    process = psutil.Process(worker.pid)
    process.terminate()
    process.wait(30)
    assert fleet.ledger.state(run) is RunState.COMPLETE
    return run


def check(fleet: Fleet, one: str, other: str) -> None:
    expected = raw_documents(fleet.mongo, one, "orders")
    assert raw_documents(fleet.mongo, other, "orders") == expected
    assert expected


@pytest.mark.timeout(240)
def test_from_mongod_through_an_account_to_mongod(
    live_fleet: Fleet, replica_set_url: str, simulated: StartSimulator
) -> None:
    fleet = live_fleet
    version = "3.6" if pymongo.version == LEGACY_DRIVER else "7.0"
    first, second, third = (f"{fleet.database}_{name}" for name in ("a", "b", "c"))
    account = simulated(server_version=version, faults=FAULTS)
    use(fleet, replica_set_url, account)
    move(fleet, replica_set_url, first, second)
    check(fleet, first, second)
    use(fleet, account, replica_set_url)
    move(fleet, account, second, third, first=False)
    check(fleet, second, third)


@pytest.mark.timeout(240)
def test_back_from_an_account(
    live_fleet: Fleet, replica_set_url: str, simulated: StartSimulator
) -> None:
    fleet = live_fleet
    first, second = (f"{fleet.database}_{name}" for name in ("a", "b"))
    account = simulated()
    use(fleet, replica_set_url, account)
    fleet.mongo[first].orders.create_index("n", unique=True)
    fleet.mongo[first].orders.insert_many([{"_id": n, "n": n} for n in range(30)])
    fleet.start_worker(2)
    run = follow(fleet, first, second)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    assert "n_1" in fleet.mongo[second].orders.index_information(), "it was there first"
    fleet.run("cutover", run, "--quiet", "1s")
    with pymongo.MongoClient[dict[str, Any]](account) as client:
        orders = client[second].orders
        orders.delete_many({"_id": {"$lt": 5}})
        orders.insert_one({"_id": "new", "n": -1})
        back = fleet.run_json("sync", run, "--reverse")["run"]
        # Two documents take each other's unique value.
        orders.delete_many({"_id": {"$in": [10, 11]}})
        orders.insert_many([{"_id": 10, "n": 11}, {"_id": 11, "n": 10}])
    fleet.run("cutover", back, "--quiet", "1s")
    check(fleet, second, first)


@pytest.mark.timeout(240)
def test_from_documentdb(
    live_fleet: Fleet, replica_set_url: str, simulated: StartSimulator
) -> None:
    fleet = live_fleet
    first, second = (f"{fleet.database}_{name}" for name in ("a", "b"))
    cluster = simulated(service=Service.AZURE_DOCUMENTDB)
    use(fleet, cluster, replica_set_url)
    move(fleet, cluster, first, second)
    check(fleet, first, second)


def wait_for_changes(fleet: Fleet, run: str, count: int) -> None:
    """Wait until the run has read so many changes of its source."""

    def are_read() -> bool:
        place = fleet.ledger.key_windows.place(run, PLACE)
        return (FollowPlace.from_bytes(place).events if place else 0) >= count

    wait_until(are_read, f"{count} changes are read")


@pytest.mark.timeout(240)
def test_a_small_history_is_read_while_the_copy_is_slow(
    live_fleet: Fleet, replica_set_url: str, simulated: StartSimulator
) -> None:
    """Azure DocumentDB forgets changes after 400 MB: they must not wait for the copy."""
    fleet = live_fleet
    first, second = (f"{fleet.database}_{name}" for name in ("a", "b"))
    history = 50_000
    cluster = simulated(service=Service.AZURE_DOCUMENTDB, change_history_bytes=history)
    use(fleet, cluster, replica_set_url)
    fleet.start_worker(2)
    with pymongo.MongoClient[dict[str, Any]](cluster) as client:
        orders = client[first].orders
        orders.insert_many([{"_id": n, "text": "x" * 500} for n in range(300)])
        run = follow(fleet, first, second, "--max-rate", 50)
        written = 0
        while not fleet.ledger.key_windows.is_copied(run):
            changed = range(written % 300, written % 300 + 20)
            orders.update_many({"_id": {"$in": [*changed]}}, {"$inc": {"n": 1}})
            written += len(changed)
            wait_for_changes(fleet, run, written - 60)
    assert written * 500 > 2 * history, "the history is gone several times over"
    fleet.run("rate", run, "--max-rate", "none")
    fleet.run("cutover", run, "--quiet", "2s")
    check(fleet, first, second)
