"""A source that changes while it is copied: the run notes it, or stops and names the collection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo.collection import Collection

from dataworks_tasks.ledger.contract import RunState
from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig
from tests.fleet import Fleet, wait_until
from tests.support.halted_work import HaltedWork

COUNT = 3000
Documents = Collection[dict[str, Any]]


def fill(fleet: Fleet, name: str = "orders", count: int = COUNT) -> Documents:
    collection = fleet.mongo[fleet.database][name]
    collection.insert_many({"_id": n, "of": name} for n in range(count))
    return collection


@contextmanager
def copied_in_part(fleet: Fleet, *flags: str, writes: int = 3) -> Iterator[str]:
    """Yield the id of a run whose worker halts when a part is copied, and continues afterwards."""
    work = HaltedWork(fleet, passage=writes)
    name = fleet.database
    where = ("--include", f"{name}.orders", "--to", f"{name}.copy", "--batch-size", "100")
    fleet.start("migrate", *where, *flags)
    run = fleet.newest_run()
    work.wait()
    assert fleet.ledger.progress(run).state is RunState.RUNNING
    assert 0 < fleet.mongo[name]["copy"].count_documents({}) < COUNT
    yield run
    work.release()


def ended(fleet: Fleet) -> tuple[int, str]:
    """Return the exit code and the output of the producer."""
    producer = fleet.producers[-1]
    output, _ = producer.communicate(timeout=60)
    return producer.returncode, output


@pytest.mark.situation(
    3,
    "50 documents are added to a part of the source that was copied already",
    before="`complete`, exit 0, `last_error` null",
    now="`complete`, a note with both counts that stays on record, exit 4",
)
def test_documents_added_meanwhile_stay_on_record(fleet: Fleet) -> None:
    orders = fill(fleet)
    with copied_in_part(fleet) as run:
        orders.insert_many({"_id": -n} for n in range(1, 51))
    code, output = ended(fleet)
    assert code == 4, output
    assert "read 3,000 documents and the source has 3,050 now, 50 more" in " ".join(output.split())
    status = fleet.run("status", run, check=False)
    assert status.returncode == 4
    assert "50 more" in " ".join(status.stdout.split())
    assert "complete, 1 to read" in fleet.run("runs").stdout
    found = json.loads(fleet.run("status", run, "--json", check=False).stdout)
    assert found["state"] == "complete"
    (note,) = [note for note in found["notes"] if note["attention"]]
    assert note["topic"] == "source"
    assert note["collection"] == f"{fleet.database}.orders"


@pytest.mark.situation(
    3,
    "documents are deleted after the run read them",
    before="`complete`, exit 0",
    now='`complete`, a note: "2 fewer", exit 4',
)
def test_documents_deleted_meanwhile_stay_on_record(fleet: Fleet) -> None:
    orders = fill(fleet)
    with copied_in_part(fleet):
        orders.delete_many({"_id": {"$in": [1, 2]}})  # copied already
    code, output = ended(fleet)
    assert code == 4, output
    assert "2 fewer" in " ".join(output.split())


@pytest.mark.situation(
    3,
    "documents are deleted before the run read them",
    before="`complete`, exit 0",
    now='`complete`, a note: "3,000 documents were planned and 2,995 read", exit 4',
)
def test_documents_deleted_before_they_were_read_are_planned_and_not_read(fleet: Fleet) -> None:
    orders = fill(fleet)
    with copied_in_part(fleet):
        orders.delete_many({"_id": {"$gte": COUNT - 5}})
    code, output = ended(fleet)
    assert code == 4, output
    assert "3,000 documents were planned and 2,995 read" in " ".join(output.split())


def test_a_filter_counts_what_it_matches(fleet: Fleet) -> None:
    orders = fill(fleet)
    with copied_in_part(fleet, "--filter", '{"_id": {"$lt": 2000}}'):
        orders.insert_many([{"_id": -1}, {"_id": 5000}])
    code, output = ended(fleet)
    assert code == 4, output
    assert "read 2,000 documents and the source has 2,001 now" in " ".join(output.split())


def renamed(orders: Documents) -> None:
    orders.rename("elsewhere")


def dropped(orders: Documents) -> None:
    orders.drop()


def replaced(orders: Documents) -> None:
    """As ``$out`` does it."""
    fresh = orders.database["fresh"]
    fresh.insert_many({"_id": n, "of": "fresh"} for n in range(COUNT))
    fresh.rename("orders", dropTarget=True)


def dropped_and_made_again(orders: Documents) -> None:
    orders.drop()
    orders.insert_many({"_id": -n - 1, "of": "made again"} for n in range(COUNT))


@pytest.mark.situation(
    3,
    "source or target are dropped, renamed, replaced (`$out`) or made again",
    before="both mixed, or what had been read, `complete`, exit 0",
    now='`failed`: "was renamed to", "was dropped" or "was replaced by", exit 1',
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (renamed, ["renamed to {database}.elsewhere"]),
        # A worker's next write makes a dropped target again.
        (dropped, ["dropped", "replaced by another collection"]),
        (replaced, ["replaced by another collection"]),
        (dropped_and_made_again, ["dropped", "replaced by another collection"]),
    ],
)
@pytest.mark.parametrize("side", ["source", "target"])
def test_another_collection_stops_the_run_by_name(
    fleet: Fleet, change: Callable[[Documents], None], said: list[str], side: str
) -> None:
    orders = fill(fleet)
    with copied_in_part(fleet) as run:
        changed = orders if side == "source" else fleet.mongo[fleet.database]["copy"]
        if side == "target" and change is replaced:
            changed.database["fresh"].insert_one({"_id": "of somebody else"})
            changed.database["fresh"].rename("copy", dropTarget=True)
        else:
            change(changed)
    code, output = ended(fleet)
    facts = [f"at the {side} was {fact.format(database=fleet.database)}" for fact in said]
    assert code == 1, output
    progress = fleet.ledger.progress(run)
    assert progress.state == "failed"
    error = progress.last_error or ""
    assert any(fact in error for fact in facts), error
    assert f"{fleet.database}.{'orders' if side == 'source' else 'copy'}" in error
    resumed = fleet.run("resume", run, check=False)
    assert resumed.returncode == 1, resumed.stdout + resumed.stderr
    assert any(fact in resumed.stderr for fact in facts), resumed.stderr
    assert fleet.ledger.progress(run).state == "failed"


def test_a_collection_that_gets_its_name_back_can_be_resumed(fleet: Fleet) -> None:
    orders = fill(fleet)
    with copied_in_part(fleet) as run:
        orders.rename("elsewhere")
    assert ended(fleet)[0] == 1
    orders.database["elsewhere"].rename("orders")
    resumed = fleet.run("resume", run, check=False)
    assert resumed.returncode == 4
    assert "had another name for a time" in " ".join(resumed.stdout.split())
    found = list(orders.database["copy"].find().sort("_id"))
    assert found == list(orders.find().sort("_id"))


def test_a_replaced_collection_is_noticed_though_all_was_read(fleet: Fleet) -> None:
    """Paused after the last slice's message: the finish looks as well."""
    orders = fill(fleet, count=100)
    name = fleet.database
    where = ("--include", f"{name}.orders", "--to", f"{name}.copy", "--batch-size", "100")
    run = fleet.run_json("migrate", *where, "--detach")["run"]
    dropped_and_made_again(orders)
    fleet.start_worker(1)
    wait_until(lambda: fleet.ledger.progress(run).state == "failed", "the run stops")
    assert "replaced" in (fleet.ledger.progress(run).last_error or "")


@pytest.mark.situation(
    3,
    "the source is dropped in the middle at a server without UUIDs (Cosmos DB with request units)",
    before="`complete`, exit 0",
    now="`complete`, a note: read and present differ, exit 4",
)
def test_an_account_without_uuids_is_counted(fleet: Fleet) -> None:
    """A source collection that is dropped in the middle: nothing but the counts can say so."""
    url = fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    with CosmosSimulator(SimulatorConfig(url)) as account:
        fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"] = account.url
        orders = fill(fleet)
        # A write is a third of it here; at this rate the second waits for a second.
        with copied_in_part(fleet, "--max-rate", "1000", writes=1) as run:
            orders.drop()
        code, output = ended(fleet)
    assert code == 4, output
    assert "documents and the source has 0 now" in " ".join(output.split())
    assert fleet.ledger.progress(run).notes


@pytest.mark.situation(
    3,
    "the source is replaced before it is verified",
    before="verification compares another collection",
    now="`failed`, exit 1",
)
def test_a_verification_of_a_replaced_collection_stops(fleet: Fleet) -> None:
    fleet.start_worker(1)
    orders = fill(fleet)
    name = fleet.database
    where = ("--include", f"{name}.orders", "--to", f"{name}.copy", "--batch-size", "100")
    run = fleet.run_json("migrate", *where)["run"]
    check = fleet.run_json("verify", run)
    assert (check["state"], check["remarks"]) == ("complete", [])
    dropped_and_made_again(orders)
    found = fleet.run("verify", run, "--json", check=False)
    assert found.returncode == 1
    assert json.loads(found.stdout.splitlines()[-1])["failures"] > 0


def test_a_complete_run_stays_as_it_is_when_its_source_is_gone(fleet: Fleet) -> None:
    fleet.start_worker(1)
    orders = fill(fleet)
    name = fleet.database
    run = fleet.run_json("migrate", "--include", f"{name}.orders", "--to", f"{name}.copy")["run"]
    orders.drop()
    resumed = fleet.run_json("resume", run)
    assert (resumed["state"], resumed["documents"]) == ("complete", COUNT)
