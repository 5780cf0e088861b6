"""A generation belongs to the collection that it began with, not to a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until
from tests.support.halted_work import HaltedWork
from tests.support.tcp_proxy import TcpProxy

Documents = Collection[dict[str, Any]]


def dropped(orders: Documents) -> None:
    orders.drop()


def renamed(orders: Documents) -> None:
    orders.rename("elsewhere")


def replaced(orders: Documents) -> None:
    orders.database["fresh"].insert_one({"_id": "of somebody else"})
    orders.database["fresh"].rename("orders", dropTarget=True)


@pytest.mark.situation(
    3,
    "the target of a generation is dropped, renamed or replaced in the middle",
    before="`complete`, with most documents missing, exit 0",
    now='`failed`: "was dropped", "was renamed to" or "was replaced", exit 1',
)
@pytest.mark.parametrize("change", [dropped, renamed, replaced])
def test_another_collection_stops_the_run(
    fleet: Fleet, change: Callable[[Documents], None]
) -> None:
    work = HaltedWork(fleet)
    where = ("--collection", "orders", "--batch-size", "100")
    fleet.start("generate", "service_order", "--total", "3000", *where)
    run = fleet.newest_run()
    work.wait()
    change(fleet.mongo[fleet.database]["orders"])
    work.release()
    output, _ = fleet.producers[-1].communicate(timeout=60)
    assert fleet.producers[-1].returncode == 1, output
    progress = fleet.ledger.progress(run)
    assert progress.state is RunState.FAILED
    assert f"{fleet.database}.orders at the target was " in (progress.last_error or "")
    resumed = fleet.run("resume", run, check=False)
    assert resumed.returncode == 1
    assert "since the run began" in resumed.stderr


@pytest.mark.situation(
    3,
    "a TTL index or another writer deletes documents of a generation while it runs",
    before="`complete`, exit 0",
    now="`complete`, a note with how many fewer there are than were written, exit 4",
)
def test_documents_that_the_target_of_a_generation_loses_are_counted(fleet: Fleet) -> None:
    work = HaltedWork(fleet)
    where = ("--collection", "orders", "--batch-size", "100")
    started = fleet.start("generate", "service_order", "--total", "3000", *where)
    work.wait()
    orders = fleet.mongo[fleet.database]["orders"]
    gone = orders.delete_many({}).deleted_count
    assert gone
    work.release()
    assert started.wait(60) == 4
    [note] = [one for one in fleet.ledger.progress(fleet.newest_run()).notes if one.attention]
    assert (note.topic, note.collection) == ("target", f"{fleet.database}.orders")
    assert f"{3000 - gone:,} documents, {gone:,} fewer" in note.text
    assert orders.count_documents({}) == 3000 - gone


@pytest.fixture
def other(replica_set_url: str, fleet: Fleet) -> Iterator[MongoClient[dict[str, Any]]]:
    """Another server, with the fleet's database of its own on it."""
    with MongoClient[dict[str, Any]](replica_set_url) as client:
        yield client
        client.drop_database(fleet.database)


@pytest.mark.situation(
    3,
    "a worker of a generation reaches another server under the run's host name",
    before="it writes there, `complete`, exit 0",
    now="it refuses, and `status` says why",
)
def test_a_worker_on_another_server_of_the_same_name_writes_nothing(
    fleet: Fleet, other: MongoClient[dict[str, Any]], replica_set_url: str
) -> None:
    here = fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"]
    elsewhere = TcpProxy.before(replica_set_url)
    with TcpProxy.before(here) as proxy:
        url = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
        fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"] = url
        wanted = ("generate", "service_order", "--total", "300", "--collection", "orders")
        run = fleet.run_json(*wanted, "--detach")["run"]
        proxy._address = elsewhere._address
        proxy.reset()
        fleet.start_worker(1, fleet.environment)
        error = wait_until(lambda: fleet.ledger.progress(run).last_error, "the worker refuses")
        assert "another server of the same name" in error
        assert other[fleet.database].list_collection_names() == []
