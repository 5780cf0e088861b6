"""What a run and a verification say at their end is what a look at both databases finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.database import Database

from tests.fleet import Fleet
from tests.support.halted_work import HaltedWork

COUNT = 1500


@pytest.fixture
def target(fleet: Fleet) -> Iterator[str]:
    """Another database of this test's own."""
    name = f"{fleet.database}_copy"
    yield name
    fleet.mongo.drop_database(name)


def fill(fleet: Fleet) -> Database[dict[str, Any]]:
    database = fleet.mongo[fleet.database]
    rule = {"$jsonSchema": {"required": ["n"]}}
    database.create_collection("orders", validator=rule, collation={"locale": "de"})
    database["orders"].insert_many({"_id": n, "n": n, "tags": [{"v": n}]} for n in range(COUNT))
    database["orders"].create_index([("n", 1), ("tags.v", -1)], unique=True)
    database["orders"].create_index("n", expireAfterSeconds=10**8)
    database["items"].insert_many({"_id": n} for n in range(10))
    lookup = {"$lookup": {"from": "items", "localField": "n", "foreignField": "_id", "as": "i"}}
    database.create_collection("joined", viewOn="orders", pipeline=[lookup])
    return database


def everything(fleet: Fleet, target: str, *flags: str) -> tuple[int, dict[str, Any]]:
    where = ("--include", f"{fleet.database}.*", "--map", f"{fleet.database}.*={target}.x_*")
    done = fleet.run("migrate", *where, "--batch-size", 500, *flags, "--json", check=False)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def verified(fleet: Fleet, run: str, *flags: str) -> tuple[int, dict[str, Any]]:
    done = fleet.run("verify", run, *flags, "--json", check=False)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def texts(run: dict[str, Any], topic: str) -> list[str]:
    return [note["text"] for note in run["notes"] if note["topic"] == topic and note["attention"]]


@pytest.mark.situation(
    15,
    "a view under `--map` reads collections that have other names now",
    before="defined with the old names, `complete`, exit 0",
    now="defined with the new names; where that cannot be, a note, exit 4",
)
def test_views_arrive_with_the_new_names_of_what_they_read(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    database = fill(fleet)
    code, run = everything(fleet, target, "--views")
    assert (code, run["state"], run["remarks"]) == (0, "complete", [])
    assert {note["topic"] for note in run["notes"]} >= {"options", "views"}
    here = list(database["joined"].find().sort("_id"))
    assert list(fleet.mongo[target]["x_joined"].find().sort("_id")) == here
    assert here[5]["i"]
    assert verified(fleet, run["run"])[0] == 0


def test_a_view_of_what_neither_side_has_is_equal(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    database = fill(fleet)
    database.create_collection("of_nothing", viewOn="never", pipeline=[])
    code, run = everything(fleet, target, "--views")
    assert (code, texts(run, "views")) == (0, [])
    assert verified(fleet, run["run"])[0] == 0
    fleet.mongo[target]["x_never"].insert_one({"_id": 1})
    code, check = verified(fleet, run["run"])
    said = f"the view reads {fleet.database}.never, which the run does not copy"
    assert (code, texts(check, "views")) == (1, [said])


@pytest.mark.situation(
    8,
    "views, `system.*` or `storageEngine` options are not copied",
    before="nothing, exit 0",
    now="a note for each, exit 4",
)
def test_what_is_left_out_is_said(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    database = fill(fleet)
    database.command({"create": "tuned", "storageEngine": {"wiredTiger": {"configString": ""}}})
    fleet.mongo[target].create_collection("x_items", capped=True, size=10**6)
    code, run = everything(fleet, target)
    assert (code, run["state"]) == (4, "complete")
    assert any("add --views" in text for text in texts(run, "left out"))
    assert any("storageEngine" in text for text in texts(run, "left out"))
    assert "capped is true at the target and not set at the source" in texts(run, "options")


@pytest.mark.situation(
    8,
    "an index, an option, a validator or a view is missing or different at the target",
    before="verification `complete`, exit 0",
    now="verification `different`, the index, option or view is named, exit 1",
)
@pytest.mark.parametrize(
    ("change", "topic", "said"),
    [
        ("drop an index", "indexes", "is missing at the target"),
        ("another order of keys", "indexes", "differs in key"),
        ("another option", "indexes", "differs in expireAfterSeconds"),
        ("one more index", "indexes", "does not exist at the source"),
        ("no validator", "options", "validator is not set"),
        ("another view", "views", "instead of"),
        ("no view", "views", "is missing at the target"),
    ],
)
def test_a_schema_that_differs_is_a_difference(
    fleet: Fleet, target: str, change: str, topic: str, said: str
) -> None:
    fleet.start_worker(1)
    fill(fleet)
    run = everything(fleet, target, "--views")[1]["run"]
    database = fleet.mongo[target]
    orders = database["x_orders"]
    if change == "drop an index":
        orders.drop_index("n_1")
    elif change == "another order of keys":
        orders.drop_index("n_1_tags.v_-1")
        orders.create_index([("tags.v", -1), ("n", 1)], unique=True, name="n_1_tags.v_-1")
    elif change == "another option":
        orders.drop_index("n_1")
        orders.create_index("n", expireAfterSeconds=5 * 10**8)
    elif change == "one more index":
        orders.create_index("other")
    elif change == "no validator":
        database.command({"collMod": "x_orders", "validator": {}})
    elif change == "another view":
        database.command({"collMod": "x_joined", "viewOn": "x_items", "pipeline": []})
    elif change == "no view":
        database.drop_collection("x_joined")
    code, check = verified(fleet, run)
    assert (code, check["state"], check["failures"]) == (1, "different", 0)
    assert any(said in text for text in texts(check, topic)), check["notes"]
    assert "different" in fleet.run("runs").stdout
    status = fleet.run("status", check["run"], check=False)
    assert status.returncode == 1
    assert (f"dataworks indexes {run}" in status.stdout) is (topic == "indexes")


@pytest.mark.situation(
    11,
    "a verification finds 1,201 differences",
    before='stops at 1,000: "could not be written", `failed`; fewer are called `complete`',
    now="`different`, all compared and grouped, the repair is named, exit 1",
)
def test_a_verification_compares_everything_and_groups_what_differs(
    fleet: Fleet, target: str
) -> None:
    fleet.start_worker(1)
    fill(fleet)
    run = everything(fleet, target, "--views")[1]["run"]
    orders = fleet.mongo[target]["x_orders"]
    orders.delete_many({"_id": {"$lt": 1100}})
    orders.update_many({"_id": {"$gte": 1400}}, [{"$set": {"tags": [{"v": -1}]}}])
    orders.insert_one({"_id": -1, "n": -1})
    code, check = verified(fleet, run)
    assert (code, check["state"], check["failures"]) == (1, "different", 1201)
    groups = {(group["kind"], group["path"]): group for group in check["differences"]}
    assert {key: group["count"] for key, group in groups.items()} == {
        ("missing at the target", ""): 1100,
        ("different", "tags.*.v"): 100,
        ("not in the source", ""): 1,
    }
    assert len(groups["different", "tags.*.v"]["first"]) == 3
    assert {group["collection"] for group in check["differences"]} == {f"{target}.x_orders"}
    shown = " ".join(fleet.run("status", check["run"], check=False).stdout.split())
    assert "1,100 missing at the target" in shown
    assert f"dataworks failures {check['run']}" in shown
    assert f"dataworks verify {run} --repair" in shown
    stopped_code, stopped = verified(fleet, run, "--max-failures", "10")
    assert (stopped_code, stopped["state"]) == (1, "failed")
    assert "differ, more than the 10 allowed" in stopped["last_error"]
    assert "could not be written" not in stopped["last_error"]


@pytest.mark.situation(
    8,
    "all documents were skipped by `--on-conflict skip`",
    before='"5,000 of 5,000", exit 0',
    now='the same with "skipped" and a note, exit 4',
)
def test_what_was_done_with_conflicts_is_counted(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    fill(fleet)
    copied = fleet.mongo[target]["copy"]
    copied.insert_many({"_id": n, "other": True} for n in range(COUNT))
    where = ("--include", f"{fleet.database}.orders", "--to", f"{target}.copy", "--append")
    wanted = ("migrate", *where, "--indexes", "none")
    done = fleet.run(*wanted, "--on-conflict", "skip", check=False)
    assert done.returncode == 4
    assert "(1,500 skipped)" in done.stdout
    assert "1,500 documents were skipped" in " ".join(done.stdout.split())
    done = fleet.run(*wanted, "--on-conflict", "replace", check=False)
    assert "(1,500 replaced)" in done.stdout
    done = fleet.run(*wanted, check=False)
    assert "(1,500 already there)" in done.stdout


@pytest.mark.situation(
    15,
    "the target has another `_id` collation",
    before="verification: 895 false differences",
    now="documents are compared by `_id`: none; the option itself is `different`",
)
def test_a_target_with_another_collation_is_not_different(fleet: Fleet, target: str) -> None:
    """The order of keys is another one there, so both sides cannot be read side by side."""
    fleet.start_worker(1)
    keys = [f"{prefix}{n}" for n in range(200) for prefix in ("a", "B", "c", "D", "ä")]
    fleet.mongo[fleet.database]["names"].insert_many({"_id": key} for key in keys)
    fleet.mongo[target].create_collection("names", collation={"locale": "de", "strength": 3})
    where = ("--include", f"{fleet.database}.names", "--to", f"{target}.names")
    done = fleet.run("migrate", *where, "--batch-size", 100, "--json", check=False)
    run = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, run["documents"]) == (4, len(keys))
    assert any("collation" in text for text in texts(run, "options"))
    _, check = verified(fleet, run["run"])
    assert check["failures"] == 0
    fleet.mongo[target]["names"].delete_one({"_id": "a7"})
    fleet.mongo[target]["names"].insert_one({"_id": "zz"})
    assert verified(fleet, run["run"])[1]["failures"] == 2


@pytest.mark.situation(
    3,
    "a TTL index or another writer deletes documents at the target while the run copies",
    before="`complete`, exit 0",
    now="`complete`, a note with how many fewer there are than were written, exit 4",
)
def test_documents_that_the_target_loses_again_are_counted(fleet: Fleet, target: str) -> None:
    fleet.mongo[fleet.database]["orders"].insert_many({"_id": n} for n in range(COUNT))
    fleet.mongo[fleet.database]["items"].insert_many({"_id": n} for n in range(10))
    work = HaltedWork(fleet)
    where = ("--include", f"{fleet.database}.*", "--map", f"{fleet.database}.*={target}.x_*")
    started = fleet.start("migrate", *where, "--batch-size", "100")
    work.wait()
    gone = fleet.mongo[target]["x_orders"].delete_many({}).deleted_count
    assert gone
    work.release()
    assert started.wait(60) == 4
    found = fleet.ledger.progress(fleet.newest_run()).notes
    [note] = [note for note in found if note.attention]
    assert (note.topic, note.collection) == ("target", f"{target}.x_orders")
    assert f"{COUNT - gone:,} documents, {gone:,} fewer" in note.text
    assert fleet.mongo[target]["x_orders"].count_documents({}) == COUNT - gone


def test_a_dropped_target_says_which_of_its_options_it_loses(fleet: Fleet, target: str) -> None:
    source, there = fleet.mongo[fleet.database], fleet.mongo[target]
    for database, locale in ((source, "de"), (there, "fr")):
        database.create_collection("series", timeseries={"timeField": "at"})
        database.create_collection("people", collation={"locale": locale})
        database.create_collection("equal", collation={"locale": "de"}, capped=True, size=4096)
    there.create_collection("log", capped=True, size=4096)
    source.create_collection("log")
    for name in ("series", "people", "equal", "log"):
        source[name].insert_one({"at": datetime(2026, 1, 1, tzinfo=UTC)})
    names = ("--map", f"{fleet.database}.*={target}.*")
    done = fleet.run("migrate", "--include", f"{fleet.database}.*", *names, "--drop", "--detach")
    again = ": --drop creates it again like its source, which "
    said = [line.split(again) for line in done.stderr.splitlines() if again in line]
    assert sorted(said) == [
        [f"{target}.log had capped, size", "does not have that"],
        [f"{target}.people had collation", "has other values"],
    ]
