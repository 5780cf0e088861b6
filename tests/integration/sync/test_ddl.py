"""Collections are dropped, renamed, created again or created later while a source is followed."""

from __future__ import annotations

import json
from pathlib import Path

from dataworks_tasks.ledger.contract import RunState
from producer.report.render_report import render_report
from producer.report.run_report import read_report
from tests.fleet import Fleet, wait_until
from tests.integration.sync.test_follow import check_equal, cut_over, fill, start


def followed(fleet: Fleet, *more: object) -> str:
    """Follow two collections; both are copied when this returns."""
    fleet.start_worker(2)
    fill(fleet, "orders", "people", count=100)
    run = start(fleet, *more)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    return run


def test_changes_of_collections_are_followed(live_fleet: Fleet) -> None:
    """One is dropped, another is replaced by a rename, a third is dropped and created again."""
    fleet = live_fleet
    fill(fleet, "again", count=50)
    run = followed(fleet, "--on-ddl", "follow")
    source, target = fleet.mongo[fleet.database], fleet.mongo[f"{fleet.database}_copy"]
    source.people.drop()
    source.staging.insert_many([{"_id": n, "n": -n} for n in range(50, 150)])
    source.staging.rename("orders", dropTarget=True)
    source.again.drop()
    source.again.insert_many([{"_id": 1, "n": "new"}, {"_id": 1000}])
    wait_until(lambda: target.people.count_documents({}) == 0, "its documents are deleted")
    source.orders.update_one({"_id": 60}, {"$set": {"n": 0}})
    shown = " ".join(fleet.run("cutover", run, "--dry-run", check=False).stdout.split())
    assert f"the cut-over drops {fleet.database}_copy.people if it is empty" in shown
    assert "people" in target.list_collection_names()
    cut_over(fleet, run)
    check_equal(fleet, "orders", "again")
    assert sorted(target.list_collection_names()) == ["again", "orders"]
    assert fleet.ledger.state(run) is RunState.COMPLETE


def test_a_drop_that_is_not_followed_needs_a_full_comparison(live_fleet: Fleet) -> None:
    fleet = live_fleet
    run = followed(fleet)
    fleet.mongo[fleet.database].people.drop()
    fleet.wait_for_state(run, RunState.PAUSED)
    command = f"dataworks cutover {run} --verify full --accept-failures"
    shown = " ".join(fleet.run("status", run, check=False).stdout.split())
    assert f"drop of {fleet.database}.people at the source: the run is paused" in shown
    assert f"dataworks resume {run}; and at the end: {command}" in shown
    row = json.loads(fleet.run("status", run, "--json", check=False).stdout.splitlines()[-1])
    assert command in row["cause"]
    fleet.mongo[fleet.database].later.insert_one({"_id": 1})
    fleet.run("resume", run, "--detach")
    listed = fleet.run("cutover", run, "--dry-run", "--quiet", "1s", check=False)
    assert listed.returncode == 1
    shown = " ".join(listed.stdout.split())
    assert f"drop of {fleet.database}.people at the source" in shown
    assert (
        f"no longer exists at the source; {fleet.database}_copy.people keeps its documents" in shown
    )
    one = f"dataworks cutover {run} --verify full --quiet 1s --accept-failures"
    assert shown.count(one) == 2
    fleet.run(*one.split()[1:])
    check_equal(fleet, "orders", "later")
    assert fleet.mongo[f"{fleet.database}_copy"].people.count_documents({}) == 100


def test_a_paused_run_names_every_change_of_a_collection(live_fleet: Fleet) -> None:
    """A dropped database is several changes; each is named wherever somebody looks."""
    fleet = live_fleet
    run = followed(fleet)
    fleet.mongo.drop_database(fleet.database)
    names = [f"drop of {fleet.database}.{name}" for name in ("orders", "people")]
    names.append(f"dropDatabase of {fleet.database}")
    wait_until(
        lambda: "dropDatabase" in (fleet.ledger.progress(run).last_error or ""),
        "all changes are read",
    )
    assert fleet.ledger.state(run) is RunState.PAUSED
    row = json.loads(fleet.run("status", run, "--json", check=False).stdout.splitlines()[-1])
    shown = " ".join(fleet.run("status", run, check=False).stdout.split())
    listed = fleet.run("cutover", run, "--dry-run", "--quiet", "1s", check=False).stdout
    for place in (row["cause"], shown, " ".join(listed.split())):
        assert all(name in place for name in names)
    assert "the run is paused" in row["cause"]
    assert f"dataworks resume {run};" in row["cause"]
    assert row["cause"].endswith(f"dataworks cutover {run} --verify full --accept-failures")


def test_collections_created_later_are_followed(live_fleet: Fleet, tmp_path: Path) -> None:
    """One has documents, one has none, one comes right before the cut-over; others are left out."""
    fleet, place = live_fleet, "take-in.before"
    fleet.start_worker(1, DATAWORKS_FAILPOINTS=f"{place}=kill@1:{tmp_path}")
    fill(fleet, "orders", "skip_this", count=40)
    run = start(fleet, "--exclude", f"{fleet.database}.skip*", "--set", "seen=1")
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    source, target = fleet.mongo[fleet.database], fleet.mongo[f"{fleet.database}_copy"]
    fill(fleet, "later", "skip_that", count=60)
    source.later.create_index("n", unique=True)
    source.create_collection("empty")
    source.create_collection("limited", capped=True, size=4096)
    source.orders.create_index("n")
    source.command({"create": "view", "viewOn": "orders"})
    wait_until(lambda: target.later.count_documents({"seen": 1}) == 60, "it is copied")
    assert (tmp_path / place).exists()
    source.later.update_many({"_id": {"$lt": 10}}, {"$inc": {"n": 1000}})
    source.later.delete_many({"_id": {"$gte": 50}})
    source.later.insert_one({"_id": "new", "n": -1})
    listed = fleet.run("cutover", run, "--dry-run", check=False)
    assert listed.returncode == 1
    shown = " ".join(listed.stdout.split())
    assert "not followed: it has the option capped" in shown
    source.limited.drop()
    fill(fleet, "last", count=5)
    cut_over(fleet, run)
    names = ["empty", "last", "later", "orders"]
    assert sorted(target.list_collection_names()) == names
    for name in names:
        expected = [{**each, "seen": 1} for each in source[name].find()]
        assert sorted(map(repr, target[name].find())) == sorted(map(repr, expected)), name
    assert target.later.index_information()["n_1"]["unique"]
    report = fleet.run_json("report", run)
    followed = {row["name"]: row["value"] for row in report["followed"]}
    later = followed["collections created later"].split(", ")
    assert sorted(later) == [f"{fleet.database}.{name}" for name in ("empty", "last", "later")]
    assert followed["when collections change"] == "--on-ddl stop"
    assert [event["action"] for event in report["events"]] == [
        "cut-over began",
        "cut-over: writers were asked to stop",
        "cut-over: all changes are at the target",
        "cut-over: nobody wrote to the source any more",
        "cut-over: compared every key that changed, no difference",
        "cut-over: indexes and validators match the source",
        "cut-over complete",
    ]
    page = render_report(read_report(fleet.ledger, run))
    assert "<h2>Following the source</h2>" in page
    assert f"{fleet.database}.later" in page


def test_changes_of_collections_are_ignored(live_fleet: Fleet) -> None:
    """The run continues; what the target keeps, and what is not there, is named."""
    fleet = live_fleet
    run = followed(fleet, "--on-ddl", "ignore")
    source, target = fleet.mongo[fleet.database], fleet.mongo[f"{fleet.database}_copy"]
    source.people.drop()
    source.later.insert_one({"_id": 1})
    source.orders.update_one({"_id": 1}, {"$set": {"n": "after the drop"}})
    wait_until(lambda: target.orders.count_documents({"n": "after the drop"}) == 1, "it follows on")
    assert fleet.ledger.state(run) is RunState.RUNNING
    refused = fleet.run("cutover", run, check=False)
    assert refused.returncode == 2
    shown = " ".join(refused.stdout.split())
    assert f"drop of {fleet.database}.people at the source" in shown
    assert f"dataworks cutover {run} --verify full --accept-failures" in shown
    assert (
        f"no longer exists at the source; {fleet.database}_copy.people keeps its documents" in shown
    )
    assert "--on-ddl ignore leaves it out of this run" in shown
    cut_over(fleet, run, "--verify", "full", "--accept-failures")
    check_equal(fleet, "orders")
    assert target.people.count_documents({}) == 100
    assert sorted(target.list_collection_names()) == ["orders", "people"]
