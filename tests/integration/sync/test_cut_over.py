"""Each step of a cut-over may be killed, fail or meet a surprise; it is repeated, and exact."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pymongo
import pytest
from pymongo.errors import WriteError

from dataworks_tasks.failpoints import CUT_OVER_FAILPOINTS
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.sync.follow_place import PLACE
from tests.fleet import Fleet, wait_until
from tests.integration.sync.writers import raw_documents

Servers = tuple[Fleet, pymongo.MongoClient[dict[str, Any]]]


def follow(servers: Servers, *more: object, count: int = 100) -> str:
    """Fill the source, and start a run that is copied when this returns."""
    fleet, source = servers
    orders = source[fleet.database].orders
    orders.insert_many([{"_id": n, "n": n, "place": n} for n in range(count)])
    orders.create_index("place", unique=True)
    orders.create_index("n")
    fleet.start_worker(2)
    name = f"{fleet.database}.orders"
    flags = ("--include", name, "--to", name, "--follow", "--detach", "--batch-size", 50)
    run: str = fleet.run_json("migrate", *flags, *more)["run"]
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    return run


def check_cut_over(servers: Servers, run: str) -> None:
    fleet, source = servers
    found = raw_documents(fleet.mongo, fleet.database, "orders")
    assert found == raw_documents(source, fleet.database, "orders")
    assert fleet.ledger.state(run) is RunState.COMPLETE
    assert fleet.mongo[fleet.database].list_collection_names() == ["orders"]
    indexes = fleet.mongo[fleet.database].orders.index_information()
    assert indexes["place_1"]["unique"]
    assert "n_1" in indexes


def kill_at(fleet: Fleet, run: str, place: str, marks: Path, *more: object) -> None:
    """Cut over, and be killed at the place; its lease ends as if it had expired."""
    failpoints = f"{place}=kill@1:{marks}"
    command = fleet.start("cutover", run, *more, DATAWORKS_FAILPOINTS=failpoints)
    output = command.communicate()[0]
    assert command.returncode == -signal.SIGKILL, f"{place}: {output}"
    holder = f"cutover:{socket.gethostname()}:{command.pid}"
    fleet.ledger.acquire_finish_lease(run, holder, 0)


@pytest.mark.parametrize(
    "places",
    [
        pytest.param(("cut-over-stop.after", "cut-over-complete.after"), id="some"),
        pytest.param(CUT_OVER_FAILPOINTS, id="all", marks=pytest.mark.soak),
    ],
)
def test_it_is_killed_after_each_step_and_repeated(
    two_servers: Servers, tmp_path: Path, places: tuple[str, ...]
) -> None:
    fleet, source = two_servers
    run = follow(two_servers)
    orders = source[fleet.database].orders
    for number, place in enumerate(places):
        source.admin.command({"setUserWriteBlockMode": 1, "global": False})
        orders.update_one({"_id": number}, {"$set": {"n": -1}})
        orders.delete_one({"_id": 50 + number})
        kill_at(fleet, run, place, tmp_path, "--block-writes")
        if place != "cut-over-complete.after":
            assert fleet.ledger.state(run) is RunState.RUNNING, place
    done = fleet.run_json("cutover", run, "--block-writes")
    assert done == {"version": 1, "run": run, "state": "complete", "failures": 0}
    check_cut_over(two_servers, run)


def test_writes_are_blocked_until_an_open_transaction_is_over(two_servers: Servers) -> None:
    fleet, source = two_servers
    run = follow(two_servers)
    orders = source[fleet.database].orders
    asked = Event()

    def transaction() -> None:
        with source.start_session() as session, session.start_transaction():
            orders.insert_one({"_id": "late", "place": "late"}, session=session)
            asked.wait(1.0)  # a writer that takes its time

    writer = Thread(target=transaction)
    writer.start()
    done = fleet.run("cutover", run, "--block-writes")
    writer.join()
    assert "writes to the source are blocked" in done.stdout
    check_cut_over(two_servers, run)
    assert fleet.mongo[fleet.database].orders.count_documents({"_id": "late"}) == 1
    with pytest.raises(WriteError, match="User writes blocked"):
        orders.insert_one({})
    assert "allow writes" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_while_the_source_begins_to_block_leaves_no_block(
    two_servers: Servers, number: signal.Signals
) -> None:
    """The server waits for a transaction, and blocks after that, whoever asked for it."""
    fleet, source = two_servers
    run = follow(two_servers)
    orders = source[fleet.database].orders
    asked = {"command.setUserWriteBlockMode": {"$exists": True}}
    with source.start_session() as session, session.start_transaction():
        orders.insert_one({"_id": "open", "place": "open"}, session=session)
        command = fleet.start("cutover", run, "--block-writes")
        running: list[Any] = [{"$currentOp": {}}, {"$match": asked}]
        wait_until(lambda: list(source.admin.aggregate(running)), "the source begins to block")
        command.send_signal(number)
        wait_until(lambda: len(list(source.admin.aggregate(running))) == 2, "it is taken back")
    output = " ".join(command.communicate()[0].split())
    assert command.returncode == 128 + number, output
    assert "the cut-over did not finish: writes to the source are allowed again" in output
    orders.insert_one({"_id": "more", "place": "more"})
    assert fleet.ledger.state(run) is RunState.RUNNING


def test_indexes_that_change_after_a_cut_over_that_failed_are_as_at_the_source(
    two_servers: Servers, tmp_path: Path
) -> None:
    """What an earlier cut-over built is replaced or dropped; what others built is theirs."""
    fleet, source = two_servers
    run = follow(two_servers)
    orders, copy = source[fleet.database].orders, fleet.mongo[fleet.database].orders
    orders.create_index("m", name="changed")
    orders.create_index("k", name="dropped")
    copy.create_index("own", name="own")
    kill_at(fleet, run, "cut-over-indexes.after", tmp_path, "--quiet", "1s")
    assert {"changed", "dropped", "place_1"} <= copy.index_information().keys()
    orders.drop_index("dropped")
    orders.drop_index("changed")
    orders.create_index([("m", -1)], name="changed")
    source[fleet.database].command("collMod", "orders", index={"name": "place_1", "hidden": True})
    done = fleet.run("cutover", run, "--quiet", "1s")
    assert "orders: dropped the index changed, as at the source" in done.stdout
    there = copy.index_information()
    assert there.keys() == {"_id_", "n_1", "place_1", "changed", "own"}
    assert there["changed"]["key"] == [("m", -1)]
    assert there["place_1"]["hidden"]


def test_validators_wait_for_the_cut_over_that_completes(
    two_servers: Servers, tmp_path: Path
) -> None:
    """Until then the source is followed, with documents that it holds and they would refuse."""
    fleet, source = two_servers
    run = follow(two_servers)
    orders, copy = source[fleet.database].orders, fleet.mongo[fleet.database].orders
    source[fleet.database].command("collMod", "orders", validator={"n": {"$gte": 0}})
    marks = tmp_path / "marks"
    marks.mkdir()
    stop = f"cut-over-indexes.after=stop@1:{marks}"
    command = fleet.start("cutover", run, "--quiet", "1s", DATAWORKS_FAILPOINTS=stop)
    wait_until(lambda: any(marks.iterdir()), "indexes and validators match the source")
    assert copy.options()["validator"] == {"n": {"$gte": 0}}
    orders.update_one({"_id": 7}, {"$set": {"m": 1}})
    wait_until(lambda: copy.find_one({"m": 1}), "it is followed")
    command.send_signal(signal.SIGCONT)
    assert "somebody still writes" in " ".join(command.communicate()[0].split())
    assert "validator" not in copy.options()
    odd = {"_id": "odd", "n": -1, "place": "odd"}
    source[fleet.database].command(
        "insert", "orders", documents=[odd], bypassDocumentValidation=True
    )
    wait_until(lambda: copy.find_one({"_id": "odd"}), "it is followed")
    fleet.run("cutover", run, "--quiet", "1s")
    assert copy.options()["validator"] == {"n": {"$gte": 0}}
    check_cut_over(two_servers, run)


def test_a_cut_over_that_waited_for_another_leaves_its_block(two_servers: Servers) -> None:
    """A second command finds the run complete, and neither blocks nor allows anything."""
    fleet, source = two_servers
    run = follow(two_servers)
    windows = fleet.ledger.key_windows
    fleet.ledger.acquire_finish_lease(run, "cutover:another", 4)
    command = fleet.start("cutover", run, "--block-writes")
    lines = command.stdout
    assert lines is not None
    wait_until(lambda: "waiting for another" in lines.readline(), "it waits")
    source.admin.command({"setUserWriteBlockMode": 1, "global": True})
    wait_until(lambda: windows.complete(run, PLACE, windows.place(run, PLACE)), "it is complete")
    output = " ".join(command.communicate()[0].split())
    assert command.returncode == 0, output
    assert f"{run} is complete" in output
    assert "refuses writes" not in output
    with pytest.raises(WriteError, match="User writes blocked"):
        source[fleet.database].orders.insert_one({})


def test_a_command_that_is_ended_after_its_last_step_undoes_nothing(
    two_servers: Servers, tmp_path: Path
) -> None:
    fleet, source = two_servers
    run = follow(two_servers)
    source[fleet.database].command("collMod", "orders", validator={"n": {"$exists": True}})
    place = "cut-over-complete.after"
    halt = f"{place}=stop@1:{tmp_path}"
    command = fleet.start("cutover", run, "--block-writes", DATAWORKS_FAILPOINTS=halt)
    wait_until((tmp_path / place).exists, "the run is complete")
    command.send_signal(signal.SIGTERM)
    command.send_signal(signal.SIGCONT)
    output = command.communicate()[0]
    assert command.returncode == 128 + signal.SIGTERM, output
    assert "did not finish" not in output
    assert fleet.ledger.state(run) is RunState.COMPLETE
    options = fleet.mongo[fleet.database].orders.options()
    assert options["validator"] == {"n": {"$exists": True}}
    with pytest.raises(WriteError, match="User writes blocked"):
        source[fleet.database].orders.insert_one({"n": 1})


def test_an_index_that_meets_duplicates_can_be_left_out(two_servers: Servers) -> None:
    """Documents without the field have no value of it: a renamed field makes such duplicates."""
    fleet, _ = two_servers
    run = follow(two_servers, "--rename", "place=spot")
    refused = " ".join(fleet.run("cutover", run, "--dry-run", check=False).stdout.split())
    assert "orders has several documents with place = None" in refused
    assert f"or cut over without the index: dataworks cutover {run} --accept-failures" in refused
    done = fleet.run("cutover", run, "--quiet", "1s", "--accept-failures")
    assert f"{run} is complete" in done.stdout
    assert "place_1" not in fleet.mongo[fleet.database].orders.index_information()


def test_a_cut_over_that_fails_allows_writes_again(two_servers: Servers) -> None:
    """What somebody changed at the target is found by the comparison, and named."""
    fleet, source = two_servers
    run = follow(two_servers)
    orders = source[fleet.database].orders
    orders.update_many({"_id": {"$lt": 5}}, {"$set": {"n": -1}})
    copy = fleet.mongo[fleet.database].orders
    wait_until(lambda: copy.count_documents({"n": -1}) == 5, "changes are followed")
    copy.delete_one({"_id": 1})
    copy.delete_one({"_id": 99})  # it did not change at the source, so only --verify full sees it
    failed = fleet.run("cutover", run, "--block-writes", check=False)
    assert failed.returncode == 1
    assert "1 changed keys differ, such as 1 of" in failed.stderr
    assert f"dataworks verify {run} --live --repair" in failed.stderr
    assert "writes to the source are allowed again" in failed.stdout
    orders.insert_one({"_id": "more", "place": "more"})
    failed = fleet.run("cutover", run, "--block-writes", "--verify", "full", "--json", check=False)
    assert "2 documents differ" in failed.stderr
    refused = fleet.run("verify", run, check=False).stderr
    assert f"dataworks verify {run} --live; or finish it: dataworks cutover {run}" in refused
    fleet.run("verify", run, "--live", "--repair", "--delete-extra")
    fleet.run("cutover", run, "--block-writes")
    check_cut_over(two_servers, run)


def test_an_index_that_cannot_be_built_is_named(two_servers: Servers) -> None:
    """The cut-over refuses, the run keeps following, and what is corrected is tried again."""
    fleet, _ = two_servers
    run = follow(two_servers)
    copy = fleet.mongo[fleet.database].orders
    copy.create_index([("n", -1)], name="n_1")
    failed = fleet.run("cutover", run, "--block-writes", check=False)
    assert failed.returncode == 1
    assert "the index n_1 was not built" in failed.stderr
    assert f"dataworks cutover {run}" in failed.stderr
    assert fleet.ledger.state(run) is RunState.RUNNING
    copy.drop_index("n_1")
    fleet.run("cutover", run, "--block-writes", "--verify", "none")
    check_cut_over(two_servers, run)


def test_what_happens_after_the_comparison_ends_the_cut_over(
    two_servers: Servers, tmp_path: Path
) -> None:
    """Nothing would compare such a change, and nothing would build the indexes of a collection."""
    fleet, source = two_servers
    database = source[fleet.database]
    database.orders.insert_many([{"_id": n, "n": n} for n in range(100)])
    fleet.start_worker(2)
    names = f"{fleet.database}.*"
    run: str = fleet.run_json("migrate", "--include", names, "--map", f"{names}={names}",
                              "--follow", "--detach")["run"]  # fmt: skip
    copies = fleet.mongo[fleet.database]
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")

    def change() -> None:
        database.orders.update_one({"_id": 7}, {"$set": {"n": "late"}})
        wait_until(lambda: copies.orders.find_one({"n": "late"}), "it is followed")

    def create() -> None:
        database.later.insert_one({"_id": 1})
        wait_until(lambda: copies.later.find_one({"_id": 1}), "it is followed")

    def pause() -> None:
        fleet.run("pause", run)

    expected: dict[Callable[[], None], str] = {
        change: f"somebody still writes to {fleet.database}.orders, last to 7",
        create: f"somebody created {fleet.database}.later",
        pause: f"run {run} is paused, so it does not catch up",
    }
    for number, (happens, said) in enumerate(expected.items()):
        marks = tmp_path / str(number)
        marks.mkdir()
        stop = f"cut-over-verify.after=stop@1:{marks}"
        command = fleet.start("cutover", run, "--quiet", "1s", DATAWORKS_FAILPOINTS=stop)
        wait_until(lambda: any(marks.iterdir()), "both sides are compared")  # noqa: B023
        happens()
        command.send_signal(signal.SIGCONT)
        output = " ".join(command.communicate()[0].split())
        assert command.returncode == 1, output
        assert said in output
    fleet.run("resume", run, "--detach")
    fleet.run("cutover", run, "--quiet", "1s")
    for name in ("orders", "later"):
        assert raw_documents(fleet.mongo, fleet.database, name) == raw_documents(
            source, fleet.database, name
        )
