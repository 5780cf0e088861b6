"""`verify --repair` makes a target what it should be, and says what it could not."""

from __future__ import annotations

from typing import Any

from bson import Int64, ObjectId
from bson.decimal128 import Decimal128

from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.sync.target_end import target_end
from tests.fleet import Fleet

KEYS: list[Any] = [
    *range(50),
    Int64(2**40),
    0.5,
    Decimal128("7.25"),
    "text",
    {"a": 1},
    {"a": 2.5},
    b"\x00\xff",
    ObjectId("0" * 24),
    True,
    None,
]


def migrate(fleet: Fleet, *more: object) -> str:
    names = ("--include", f"{fleet.database}.source", "--to", f"{fleet.database}.copy")
    run: str = fleet.run_json("migrate", *names, "--batch-size", 25, *more)["run"]
    return run


def collection(fleet: Fleet, name: str) -> Any:
    return fleet.mongo[fleet.database][name]


def test_what_differs_is_repaired_for_every_type_of_key(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker()
    source, copy = collection(fleet, "source"), collection(fleet, "copy")
    source.insert_many([{"_id": key, "n": number} for number, key in enumerate(KEYS)])
    run = migrate(fleet)
    assert target_end(fleet.ledger, run), "a change within the run's last second counts, too"
    copy.delete_many({"_id": {"$in": [3, 0.5, "text", None, {"a": 1}]}})
    copy.update_many({"_id": {"$in": [5, Int64(2**40), True]}}, {"$set": {"n": -1}})
    copy.replace_one({"_id": 7}, {"_id": 7.0, "n": 7})  # another type of number
    copy.insert_many([{"_id": -1}, {"_id": "more"}])

    refused = fleet.run("verify", run, "--repair", check=False)
    assert refused.returncode == 2
    assert "was changed 11 times since the run wrote it" in refused.stderr
    kept = fleet.run("verify", run, "--repair", "--overwrite-changes", check=False)
    assert kept.returncode == 1, kept.stdout + kept.stderr
    assert "missing at the target" in kept.stdout
    assert {document["_id"] for document in copy.find({}) if "n" not in document} == {-1, "more"}
    repair = fleet.ledger.run_ids()[0]
    assert repair.startswith("rep-")
    assert len(list(fleet.ledger.failures(repair))) == 2

    fleet.run("verify", run, "--repair", "--delete-extra")
    assert fleet.raw_documents("copy") == fleet.raw_documents("source")
    repair = fleet.ledger.run_ids()[0]
    assert fleet.ledger.progress(repair).state is RunState.COMPLETE
    fleet.run("verify", run)


def test_transformed_and_filtered_documents_are_repaired(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker()
    source, copy = collection(fleet, "source"), collection(fleet, "copy")
    source.insert_many([{"_id": n, "n": n, "mail": f"p{n}@example.com"} for n in range(200)])
    changes = ("--filter", '{"n": {"$gte": 50}}', "--rename", "n=number")
    run = migrate(fleet, *changes, "--mask", "mail=faker:email", "--set", "done=true")
    before = fleet.raw_documents("copy")
    assert len(before) == 150
    copy.delete_many({"_id": {"$lt": 60}})
    copy.update_many({"_id": {"$gt": 190}}, {"$set": {"mail": "somebody@example.com"}})
    copy.insert_one({"_id": 10, "number": 10})  # outside the filter
    fleet.run("verify", run, "--repair", "--overwrite-changes", "--delete-extra")
    assert fleet.raw_documents("copy") == before


def test_a_generation_run_is_repaired(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker()
    where = ("--database", fleet.database, "--collection", "orders")
    run = fleet.run_json("generate", "service_order", "--total", 6000, *where)["run"]
    before = fleet.raw_documents("orders")
    orders = collection(fleet, "orders")
    ids = [document["_id"] for document in orders.find({}, {"_id": 1}).sort("_id", 1)]
    orders.delete_many({"_id": {"$in": [ids[0], ids[5500], ids[-1]]}})
    orders.update_one({"_id": ids[4999]}, {"$set": {"status": "changed"}})
    orders.insert_many([{"_id": 1}, {}])
    fleet.run("verify", run, "--repair", "--overwrite-changes", "--delete-extra")
    assert fleet.raw_documents("orders") == before


def test_values_of_a_unique_index_change_places(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker()
    source, copy = collection(fleet, "source"), collection(fleet, "copy")
    source.create_index("place", unique=True)
    source.insert_many([{"_id": n, "place": n} for n in range(20)])
    run = migrate(fleet)
    copy.delete_many({"_id": {"$in": [1, 2, 3]}})
    copy.insert_many([{"_id": 1, "place": 2}, {"_id": 2, "place": 3}, {"_id": 3, "place": 1}])
    copy.delete_one({"_id": 9})
    copy.insert_one({"_id": "taken", "place": 9})
    fleet.run("verify", run, "--repair", "--overwrite-changes", "--delete-extra")
    assert fleet.raw_documents("copy") == fleet.raw_documents("source")


def test_what_cannot_be_written_is_named(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker()
    source, copy = collection(fleet, "source"), collection(fleet, "copy")
    source.insert_many([{"_id": n, "n": n} for n in range(20)])
    run = migrate(fleet)
    copy.delete_many({"_id": {"$in": [4, 5]}})
    rule = {"n": {"$ne": 4}}
    fleet.mongo[fleet.database].command("collMod", "copy", validator=rule)
    done = fleet.run("verify", run, "--repair", "--overwrite-changes", check=False)
    assert done.returncode == 1
    (failure,) = fleet.ledger.failures(fleet.ledger.run_ids()[0])
    assert (failure.document_id, failure.reason) == ("4", "still missing at the target")
    assert copy.count_documents({}) == 19


def test_a_missing_index_stays_a_difference(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker()
    source, copy = collection(fleet, "source"), collection(fleet, "copy")
    source.insert_many([{"_id": n, "n": n} for n in range(20)])
    source.create_index("n")
    run = migrate(fleet)
    copy.drop_index("n_1")
    copy.delete_one({"_id": 4})
    done = fleet.run("verify", run, "--repair", "--overwrite-changes", check=False)
    assert done.returncode == 1
    assert "n_1 on n: 1 is missing at the target; a repair corrects documents only" in done.stdout
    assert fleet.raw_documents("copy") == fleet.raw_documents("source")
    # Differences of documents are compared again before they count, and here are none.
    assert fleet.run("verify", run, "--live", check=False).returncode == 1
    fleet.run("indexes", run)
    fleet.run("verify", run, "--repair")
    fleet.run("verify", run, "--live")


def test_a_verification_is_not_repaired_itself(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker()
    collection(fleet, "source").insert_one({"_id": 1})
    run = migrate(fleet)
    fleet.run("verify", run)
    check = fleet.ledger.run_ids()[0]
    refused = fleet.run("verify", check, "--repair", check=False)
    assert refused.returncode == 2
    assert f"dataworks verify {run} --repair" in refused.stderr
