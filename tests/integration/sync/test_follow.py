"""A migration follows its source until the cut-over, and both sides are equal then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pymongo

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until
from tests.integration.sync.writers import Writers, raw_documents

STRATEGY = """
from dataworks_tasks import BaseMigrationStrategy, MigrationStrategyFactory


@MigrationStrategyFactory.register
class Halved(BaseMigrationStrategy):
    name = "halved"

    def transform_document(self, document):
        if document["n"] % 2:
            return None
        return {**document, "n": document["n"] // 2}
"""


def start(fleet: Fleet, *more: object) -> str:
    """Start a migration of the fleet's database that follows; its run id."""
    source = f"{fleet.database}.*"
    names = ("--include", source, "--map", f"{source}={fleet.database}_copy.*")
    run: str = fleet.run_json("migrate", *names, "--follow", "--detach", "--batch-size", 50, *more)[
        "run"
    ]
    return run


def fill(fleet: Fleet, *names: str, count: int = 300) -> None:
    for name in names:
        documents = [{"_id": n, "n": n} for n in range(count)]
        fleet.mongo[fleet.database][name].insert_many(documents)


def cut_over(fleet: Fleet, run: str, *more: object) -> None:
    fleet.run("cutover", run, "--quiet", "2s", *more)


def check_equal(fleet: Fleet, *names: str) -> None:
    for name in names:
        source = raw_documents(fleet.mongo, fleet.database, name)
        assert raw_documents(fleet.mongo, f"{fleet.database}_copy", name) == source


def test_a_source_is_followed_and_cut_over(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker(2)
    fill(fleet, "orders", "people")
    url = fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    with Writers(url, fleet.database, ("orders", "people"), seed=7) as writers:
        run = start(fleet)
        wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
        changes = writers.changes
        wait_until(lambda: writers.changes > changes + 300, "changes are followed")
    cut_over(fleet, run)
    check_equal(fleet, "orders", "people")
    progress = fleet.ledger.progress(run)
    assert (progress.state, progress.failures) == (RunState.COMPLETE, 0)
    names = fleet.mongo[f"{fleet.database}_copy"].list_collection_names()
    assert sorted(names) == ["orders", "people"], "the change log is gone"
    cut_over(fleet, run)  # done already


def test_a_change_log_that_somebody_dropped_loses_no_change(live_fleet: Fleet) -> None:
    """The keys in it are unknown then, so every key of both sides is reconciled."""
    fleet = live_fleet
    fleet.start_worker(2)
    fill(fleet, "orders")
    run = start(fleet, "--max-rate", 60)
    orders, copies = (fleet.mongo[name] for name in (fleet.database, f"{fleet.database}_copy"))
    wait_until(lambda: copies.orders.count_documents({}) >= 50, "some are copied")
    orders.orders.update_many({}, {"$set": {"n": -1}})
    orders.orders.delete_one({"_id": 0})
    changes = copies[f"dataworks.changes.{run}"]
    wait_until(lambda: changes.count_documents({}), "keys wait for the end of the copy")
    changes.drop()
    wait_until(lambda: copies.orders.count_documents({"n": -1}) == 299, "every key is reconciled")
    cut_over(fleet, run)
    check_equal(fleet, "orders")


def test_transformed_documents_are_followed(live_fleet: Fleet) -> None:
    """Updates, deletions, and documents that move into and out of the filter."""
    fleet = live_fleet
    fleet.start_worker(2)
    orders, copy = (fleet.mongo[name].orders for name in (fleet.database, f"{fleet.database}_copy"))
    orders.insert_many(
        [{"_id": n, "n": n, "mail": f"p{n}@example.com", "secret": n} for n in range(300)]
    )
    changes = ("--filter", '{"n": {"$gte": 100}}', "--rename", "n=number", "--set", "done=true")
    run = start(fleet, *changes, "--mask", "mail=faker:email", "--drop-field", "secret")
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    masked = copy.find_one({"_id": 250})
    assert masked is not None
    orders.update_one({"_id": 5}, {"$set": {"n": 1000}})  # enters the filter
    orders.update_one({"_id": 200}, {"$set": {"n": 1}})  # leaves it
    orders.update_one({"_id": 202}, {"$set": {"n": 2}})
    orders.update_one({"_id": 202}, {"$set": {"n": 2000}})  # left it, and is back
    orders.delete_one({"_id": 201})
    orders.update_one({"_id": 250}, {"$set": {"secret": "more", "mail": "new@example.com"}})
    orders.insert_one({"_id": "new", "n": 500, "secret": 1})
    cut_over(fleet, run)
    found = {document["_id"]: document for document in copy.find({})}
    assert found.keys() == {5, "new", *range(100, 200), *range(202, 300)}
    assert found["new"] == {"_id": "new", "number": 500, "done": True}
    assert found[250].keys() == masked.keys()
    assert found[250]["mail"] not in {masked["mail"], "new@example.com"}
    fleet.run("verify", run)


def test_keys_that_a_collation_takes_for_equal_are_followed(live_fleet: Fleet) -> None:
    """A document comes back under another spelling of its key: the old one has to go first."""
    fleet = live_fleet
    fleet.start_worker(1)
    source = fleet.mongo[fleet.database].create_collection(
        "orders", collation={"locale": "en", "strength": 1}
    )
    source.insert_many([{"_id": f"key{n}", "n": n} for n in range(60)])
    run = start(fleet)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    for n in range(40):
        source.delete_one({"_id": f"key{n}"})
    source.insert_many([{"_id": f"KEY{n}", "n": -n} for n in range(20)])
    cut_over(fleet, run, "--verify", "full")
    check_equal(fleet, "orders")
    assert fleet.ledger.progress(run).failures == 0


def test_a_strategy_that_keeps_the_key_is_followed(live_fleet: Fleet) -> None:
    fleet = live_fleet
    plugin = fleet.folder / "halved.py"
    plugin.write_text(STRATEGY)
    fleet.environment["FRAMEWORK_PLUGINS"] = str(plugin)
    fleet.start_worker(1, FRAMEWORK_PLUGINS=str(plugin))
    fill(fleet, "orders", count=20)
    run = start(fleet, "--strategy", "halved")
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    orders = fleet.mongo[fleet.database].orders
    orders.update_one({"_id": 4}, {"$set": {"n": 100}})
    orders.update_one({"_id": 6}, {"$set": {"n": 7}})  # the strategy leaves odd ones out
    cut_over(fleet, run)
    copy = fleet.mongo[f"{fleet.database}_copy"].orders
    found = {document["_id"]: document["n"] for document in copy.find({})}
    assert found == {n: n // 2 for n in range(0, 20, 2) if n != 6} | {4: 50}


def test_the_cut_over_refuses_while_somebody_writes(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker(2)
    fill(fleet, "orders")
    run = start(fleet)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    url = fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    with Writers(url, fleet.database, ("orders",), seed=3):
        refused = fleet.run("cutover", run, "--quiet", "20s", check=False)
    assert refused.returncode == 1
    assert f"somebody still writes to {fleet.database}.orders" in refused.stderr
    assert fleet.ledger.state(run) is RunState.RUNNING
    cut_over(fleet, run, "--verify", "full")
    check_equal(fleet, "orders")


def test_a_unique_index_meets_its_duplicates_in_the_checklist(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker(2)
    fill(fleet, "orders")
    orders = fleet.mongo[fleet.database].orders
    orders.create_index("n", unique=True)
    run = start(fleet, "--set", "n=1")
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    listed = fleet.run("cutover", run, "--dry-run", "--block-writes", check=False)
    assert listed.returncode == 1
    shown = " ".join(listed.stdout.split())
    assert "has several documents with n = 1" in shown
    assert "source and target are the same server" in shown
    orders.insert_one({"_id": "not blocked", "n": -1})


def test_a_dropped_collection_stops_the_run(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker(2)
    fill(fleet, "orders", "people")
    run = start(fleet)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    fleet.mongo[fleet.database].people.drop()
    wait_until(lambda: fleet.ledger.state(run) is RunState.PAUSED, "the run is paused")
    error = fleet.ledger.progress(run).last_error or ""
    assert f"drop of {fleet.database}.people" in error
    assert fleet.mongo[f"{fleet.database}_copy"].people.count_documents({}) == 300


def test_what_cannot_be_followed_is_refused(live_fleet: Fleet, mongodb_url: str) -> None:
    fleet = live_fleet
    fill(fleet, "orders", count=3)
    names = ("--include", f"{fleet.database}.orders", "--to", f"{fleet.database}_copy.orders")
    clock = """{"$expr": {"$lt": ["$at", "$$NOW"]}}"""
    for flags, reason in (
        (("--append",), "needs its own target"),
        (("--indexes", "before"), "unique and TTL indexes at the cut-over"),
        (("--filter", clock, "--allow-unmatched"), "uses $$NOW"),
    ):
        refused = fleet.run("migrate", *names, "--follow", *flags, check=False)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert reason in refused.stderr
    standalone: dict[str, Any] = {"FRAMEWORK_SOURCE_DB_CONNECTION_STRING": mongodb_url}
    fleet.environment.update(standalone)
    with pymongo.MongoClient[dict[str, Any]](mongodb_url) as alone:
        alone[fleet.database].orders.insert_one({"_id": 1})
        refused = fleet.run("migrate", *names, "--follow", check=False)
        planned = fleet.run("plan", *names, "--follow", "--json", check=False)
        alone.drop_database(fleet.database)
    assert refused.returncode == 2
    assert "the source is a standalone server" in refused.stderr
    assert "the source is a standalone server" in planned.stdout


def test_a_followed_target_is_verified_and_repaired_while_it_changes(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker(2)
    fill(fleet, "orders")
    run = start(fleet)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    copy = fleet.mongo[f"{fleet.database}_copy"].orders
    copy.delete_many({"_id": {"$lt": 5}})
    copy.insert_one({"_id": "extra"})
    url = fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    with Writers(url, fleet.database, ("orders",), seed=11):
        fleet.run("verify", run, "--live", "--repair", "--delete-extra")
    cut_over(fleet, run)
    check_equal(fleet, "orders")
    refused = fleet.run("verify", run, "--repair", check=False)
    assert refused.returncode == 2
    assert "was cut over" in refused.stderr


def test_a_cut_over_says_that_no_worker_is_running(live_fleet: Fleet) -> None:
    """Its last steps wait for workers, perhaps while the source refuses writes."""
    fleet = live_fleet
    fill(fleet, "orders", count=20)
    run = start(fleet)
    listed = fleet.run("cutover", run, "--dry-run", check=False).stdout
    assert "no  workers: no worker is running; start one: dataworks worker" in listed
    fleet.start_worker(1)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    assert "ok  workers: running" in fleet.run("cutover", run, "--dry-run").stdout


def test_what_the_cut_over_builds_is_no_difference_before_it(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker(2)
    fill(fleet, "orders", count=20)
    database = fleet.mongo[fleet.database]
    database.orders.create_index("n", unique=True)
    database.command("collMod", "orders", validator={"n": {"$gte": 0}})
    run = start(fleet)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    equal = fleet.run("verify", run, "--live").stdout
    assert "not compared, because the cut-over builds them" in equal
    assert "different" not in equal
    fleet.mongo[f"{fleet.database}_copy"].orders.delete_one({"_id": 5})
    differs = fleet.run("verify", run, "--live", "--repair").stdout
    assert f"dataworks verify {run} --live --repair" in differs
    assert f"dataworks indexes {run}" not in differs
    cut_over(fleet, run, "--verify", "full")
    assert "1 of 1 equal" in fleet.run("verify", run).stdout


def test_status_shows_phase_and_lag(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker(2)
    fill(fleet, "orders", "people", count=20)
    run = start(fleet, "--filter", json.dumps({"n": {"$gte": 5}}))

    def following() -> bool:
        shown = fleet.run("status", run, "--json", check=False).stdout
        figures = json.loads(shown.splitlines()[-1])["following"]
        return bool(figures["phase"] == "following" and figures["lag_seconds"] < 5)

    wait_until(following, "the run follows")
    figures = json.loads(fleet.run("status", run, "--json", check=False).stdout)
    assert (figures["documents_total"], figures["share"]) == (30, 1)
    assert [each["total"] for each in figures["collections"]] == [15, 15]
    assert "so far" not in fleet.run("status", run, check=False).stdout


def test_the_figures_of_following_are_documented(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker(1)
    fill(fleet, "orders", count=5)
    run = start(fleet)
    schema = json.loads(Path("producer/view/run.schema.json").read_text())
    shown = json.loads(fleet.run("status", run, "--json", check=False).stdout.splitlines()[-1])
    jsonschema.validate(shown, {"$ref": "#/$defs/run", "$defs": schema["$defs"]})
    assert shown["following"]["phase"] in {"copying", "catching up", "following"}
