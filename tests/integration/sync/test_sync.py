"""Following after a migration was complete, and the way back after a cut-over."""

from __future__ import annotations

from typing import Any

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until
from tests.integration.sync.test_follow import check_equal, cut_over, fill, start
from tests.integration.sync.writers import Writers

NAMES = ("orders", "people")


def sync(fleet: Fleet, run: str, *more: object) -> str:
    started: str = fleet.run_json("sync", run, *more)["run"]
    return started


def follow_to_the_cut_over(fleet: Fleet, *more: object) -> str:
    run = start(fleet, *more)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    cut_over(fleet, run)
    return run


def write(fleet: Fleet, database: str, seed: int) -> Writers:
    url = fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    return Writers(url, database, NAMES, seed)


def test_the_way_there_and_back_and_there_again(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker(2)
    fill(fleet, *NAMES, count=100)
    new_side = f"{fleet.database}_copy"
    run = follow_to_the_cut_over(fleet)
    # What the application writes before anybody thinks of the way back counts as well.
    fleet.mongo[new_side].orders.delete_many({"_id": {"$lt": 20}})
    with write(fleet, new_side, seed=3) as writers:
        back = sync(fleet, run, "--reverse")
        assert sync(fleet, run, "--reverse") == back, "there is one way back"
        changes = writers.changes
        wait_until(lambda: writers.changes > changes + 200, "changes are followed")
    assert fleet.ledger.spec(back).is_swapped
    wait_until(lambda: fleet.ledger.key_windows.is_copied(back), "the way back is compared")
    fleet.mongo[new_side].bills.insert_one({"_id": 1})
    listed = fleet.run("cutover", back, "--dry-run", check=False)
    assert listed.returncode == 1
    assert f"no  {new_side}.bills: not part of the run, and not followed: a way back" in (
        listed.stdout
    )
    copy_it = f"dataworks migrate --include {new_side}.bills --to {fleet.database}.bills, with"
    assert copy_it in " ".join(listed.stdout.split())
    cut_over(fleet, back, "--accept-failures")
    check_equal(fleet, *NAMES)
    assert fleet.ledger.progress(back).failures == 0

    with write(fleet, fleet.database, seed=4) as writers:
        again = sync(fleet, back, "--reverse")
        wait_until(lambda: writers.changes > 200, "changes are followed")
    wait_until(lambda: fleet.ledger.key_windows.is_copied(again), "the new way is compared")
    cut_over(fleet, again, "--verify", "full")
    check_equal(fleet, *NAMES)
    assert [fleet.ledger.state(each) for each in (run, back, again)] == [RunState.COMPLETE] * 3
    refused = fleet.run("sync", run, "--reverse", check=False)
    assert refused.returncode == 2
    assert f"dataworks sync {back} --reverse" in refused.stderr


def test_a_complete_migration_is_followed_from_now_on(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker(2)
    fill(fleet, *NAMES, count=100)
    source = f"{fleet.database}.*"
    names = ("--include", source, "--map", f"{source}={fleet.database}_copy.*")
    run: str = fleet.run_json("migrate", *names, "--batch-size", 25)["run"]
    orders = fleet.mongo[fleet.database].orders
    orders.delete_many({"_id": {"$lt": 10}})
    orders.update_many({"_id": {"$gt": 90}}, {"$set": {"n": -1}})
    orders.insert_one({"_id": "between"})
    with write(fleet, fleet.database, seed=5) as writers:
        follower = sync(fleet, run, "--overwrite-changes")
        assert sync(fleet, follower) == follower, "a run that follows continues"
        changes = writers.changes
        wait_until(lambda: writers.changes > changes + 100, "changes are followed")
    repair = next(each for each in fleet.ledger.run_ids() if each.startswith("rep-"))
    repaired = fleet.ledger.progress(repair)
    assert (repaired.state, repaired.failures) == (RunState.COMPLETE, 0)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(follower), "it is planned")
    checked = fleet.run("cutover", follower, "--dry-run", check=False).stdout
    assert "history: complete" in checked
    cut_over(fleet, follower)
    check_equal(fleet, *NAMES)


def test_what_cannot_be_followed_back_is_refused(live_fleet: Fleet) -> None:
    fleet = live_fleet
    fleet.start_worker(2)
    fill(fleet, "orders", count=20)
    orders = fleet.mongo[fleet.database].orders
    run = follow_to_the_cut_over(fleet)
    for arguments, reason in (
        ((run,), "was cut over"),
        (("--reverse", start_filtered(fleet)), "had a filter"),
    ):
        refused = fleet.run("sync", *arguments, check=False)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert reason in refused.stderr
    orders.insert_one({"_id": "late"})
    refused = fleet.run("sync", run, "--reverse", check=False)
    assert "the old side was changed 1 time since the cut-over" in refused.stderr
    assert f'insert of "late" in {fleet.database}.orders' in refused.stderr
    fleet.mongo[f"{fleet.database}_copy"].orders.delete_one({"_id": 3})
    back = sync(fleet, run, "--reverse", "--overwrite-changes")
    wait_until(lambda: _ids(orders) == [0, 1, 2, *range(4, 20)], "the old side is equal")
    plain: str = fleet.run_json("migrate", *_one(fleet, "orders", "third"))["run"]
    refused = fleet.run("sync", plain, "--reverse", check=False)
    assert f"dataworks sync {plain}" in refused.stderr
    refused = fleet.run("sync", back, "--reverse", check=False)
    assert f"dataworks cutover {back}" in refused.stderr


def start_filtered(fleet: Fleet) -> str:
    more = ("--follow", "--detach", "--filter", '{"n": {"$lt": 5}}')
    run: str = fleet.run_json("migrate", *_one(fleet, "orders", "few"), *more)["run"]
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    cut_over(fleet, run)
    return run


def _one(fleet: Fleet, source: str, target: str) -> tuple[str, ...]:
    database = fleet.database
    return ("--include", f"{database}.{source}", "--to", f"{database}_{target}.{source}")


def _ids(collection: Any) -> list[Any]:
    return [document["_id"] for document in collection.find({}).sort("_id", 1)]
