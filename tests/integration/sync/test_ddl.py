"""Collections are dropped, renamed, created again or created later while a source is followed."""

from __future__ import annotations

from dataworks_tasks.ledger.contract import RunState
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
    cut_over(fleet, run)
    check_equal(fleet, "orders", "again")
    assert sorted(target.list_collection_names()) == ["again", "orders"]
    assert fleet.ledger.state(run) is RunState.COMPLETE


def test_a_drop_that_is_not_followed_needs_a_full_comparison(live_fleet: Fleet) -> None:
    fleet = live_fleet
    run = followed(fleet)
    fleet.mongo[fleet.database].people.drop()
    fleet.wait_for_state(run, RunState.PAUSED)
    fleet.mongo[fleet.database].later.insert_one({"_id": 1})
    fleet.run("resume", run, "--detach")
    listed = fleet.run("cutover", run, "--dry-run", check=False)
    assert listed.returncode == 1
    shown = " ".join(listed.stdout.split())
    assert f"drop of {fleet.database}.people at the source" in shown
    assert f"dataworks cutover {run} --verify full" in shown
    assert f"gone at the source; {fleet.database}_copy.people keeps what it had" in shown
    assert f"dataworks migrate --include {fleet.database}.later" in shown
    cut_over(fleet, run, "--verify", "full", "--accept-failures")
    check_equal(fleet, "orders")
    assert fleet.mongo[f"{fleet.database}_copy"].people.count_documents({}) == 100
