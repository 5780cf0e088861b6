"""A change history that is lost, too short, or unreadable: reported before harm is done."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import psutil
import pymongo
import pytest
from click.testing import CliRunner
from pymongo.errors import PyMongoError

from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.keys import RunKeys
from dataworks_tasks.runs import bounds
from dataworks_tasks.sync.follow_place import PLACE, FollowPlace
from producer.cli import cli
from producer.local.services import LocalServices
from producer.view.durations import shown_duration
from tests.fleet import Fleet, pool_children, wait_until
from tests.integration.sync.test_cut_over import Servers, check_cut_over, follow
from tests.integration.sync.writers import Writers
from tests.support.mongod_variant import MongodVariant


def lose_position(servers: Servers, run: str) -> None:
    """Move the run to a position that the source's history does not have."""
    fleet, source = servers
    with source[fleet.database].watch() as stream:
        source[fleet.database].others.insert_one({})
        token: dict[str, Any] = dict(stream.next()["_id"])
    data = token["_data"]
    token["_data"] = f"{data[:2]}{int(data[2:10], 16) - 1:08X}{data[10:]}"
    windows = fleet.ledger.key_windows
    place = FollowPlace.from_bytes(wait_until(lambda: windows.place(run, PLACE), "it is read"))
    lost = replace(place, token=bson.encode(token)).to_bytes()
    fleet.redis.hset(RunKeys(run).record, PLACE, lost)


def test_a_lost_history_fails_the_run_and_resync_repairs_it(two_servers: Servers) -> None:
    fleet, source = two_servers
    run = follow(two_servers)
    lose_position(two_servers, run)
    orders = source[fleet.database].orders  # these changes are in no history any more
    orders.delete_many({"_id": {"$lt": 10}})
    orders.update_many({"_id": {"$gte": 90}}, {"$set": {"n": -1}})
    orders.insert_one({"_id": "new", "place": "new"})
    fleet.wait_for_state(run, RunState.FAILED)
    error = fleet.ledger.progress(run).last_error or ""
    assert "no longer reaches back to the run's position" in error
    assert f"dataworks resume {run} --resync" in error
    refused = fleet.run("cutover", run, check=False)
    assert "it is" not in refused.stdout
    assert "no history: it no longer reaches back to the run's position" in " ".join(
        refused.stdout.split()
    )
    assert f"Continue it: dataworks resume {run} --resync" in refused.stdout
    assert refused.returncode == 2
    done = fleet.run("resume", run, "--resync")
    assert "the source's newest position" in done.stdout
    orders.delete_one({"_id": 50})
    fleet.run("cutover", run, "--block-writes")
    check_cut_over(two_servers, run)


@pytest.mark.parametrize("most", [20, 200_000])
def test_a_resync_repairs_while_writers_write(
    two_servers: Servers, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Where more differs than is listed, every key of both sides is reconciled."""
    fleet, source = two_servers
    run = follow(two_servers)
    lose_position(two_servers, run)
    orders = source[fleet.database].orders
    orders.delete_many({"_id": {"$lt": 10}})
    orders.update_many({"_id": {"$gte": 10}}, {"$set": {"n": -1}})
    fleet.wait_for_state(run, RunState.FAILED)
    monkeypatch.setattr(bounds, "MOST_DIFFERENCES", most)
    for name, value in fleet.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(fleet.folder)
    url = fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    with Writers(url, fleet.database, ("orders",), seed=7):
        done = CliRunner().invoke(cli, ["resume", run, "--resync"])
        assert done.exit_code == 0, done.output
    assert ("every key of both sides is reconciled" in " ".join(done.output.split())) == (
        most == 20
    )
    fleet.run("cutover", run, "--block-writes", "--verify", "full")
    check_cut_over(two_servers, run)


@pytest.mark.soak
def test_a_position_that_is_not_lost_is_kept(two_servers: Servers) -> None:
    """Later changes are still read; everything is compared nevertheless."""
    fleet, source = two_servers
    run = follow(two_servers)
    fleet.run("pause", run)
    source[fleet.database].orders.delete_one({"_id": 1})
    fleet.mongo[fleet.database].orders.delete_one({"_id": 2})
    done = fleet.run("resume", run, "--resync")
    assert "its position, which was not lost" in done.stdout
    fleet.run("cutover", run, "--block-writes")
    check_cut_over(two_servers, run)


def replica_set(services: LocalServices, name: str, *arguments: str) -> str:
    """Start a replica set of one with ``arguments``; its address."""
    variant = MongodVariant(("--replSet", name, *arguments), name)
    host = f"127.0.0.1:{services.start(variant)[0].site.port}"
    with pymongo.MongoClient[dict[str, Any]](f"mongodb://{host}/?directConnection=true") as client:
        members = [{"_id": 0, "host": host}]
        client.admin.command("replSetInitiate", {"_id": name, "members": members})
    return f"mongodb://{host}/?replicaSet={name}"


@pytest.mark.soak
def test_a_history_that_is_overwritten_is_lost(
    own_services: LocalServices, live_fleet: Fleet
) -> None:
    """A real one: the run is paused while more is written than the history holds."""
    fleet, name = live_fleet, live_fleet.database
    setting = "FRAMEWORK_SOURCE_DB_CONNECTION_STRING"
    url = replica_set(own_services, "tiny", "--oplogSize", "16", "--syncdelay", "1")
    fleet.environment[setting] = url
    with pymongo.MongoClient[dict[str, Any]](fleet.environment[setting]) as source:
        orders = source[name].orders
        orders.insert_many([{"_id": n, "n": 0} for n in range(1000)])
        worker = fleet.start_worker(1, **{setting: fleet.environment[setting]})
        names = ("--include", f"{name}.orders", "--to", f"{name}.orders")
        run = fleet.run_json("migrate", *names, "--follow", "--detach")["run"]
        wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
        processes = [psutil.Process(worker.pid), *pool_children(worker)]
        for process in processes:
            process.suspend()
        orders.delete_many({"_id": {"$lt": 10}})
        oplog = source.local["oplog.rs"]
        first = oplog.find_one(sort=[("$natural", 1)])
        while oplog.find_one(sort=[("$natural", 1)]) == first:
            source[name].others.insert_many([{"t": "x" * 1000} for _ in range(1000)])
        for _ in range(40):
            source[name].others.insert_many([{"t": "x" * 1000} for _ in range(1000)])
        assert "the history reaches back 0.0 h" in fleet.run("doctor", check=False).stdout
        for process in processes:
            process.resume()
        fleet.wait_for_state(run, RunState.FAILED)
        fleet.run("resume", run, "--resync")
        fleet.run("cutover", run, "--quiet", "1s")
        assert fleet.mongo[name].orders.count_documents({}) == 990


def test_a_plan_says_how_far_the_history_reaches_back(
    own_services: LocalServices, live_fleet: Fleet
) -> None:
    fleet, name = live_fleet, live_fleet.database
    url = replica_set(own_services, "short", "--oplogSize", "1")
    fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"] = url
    names = ("--include", f"{name}.orders", "--to", f"{name}.copy", "--follow")
    with pymongo.MongoClient[dict[str, Any]](url) as source:
        source[name].orders.insert_many([{"_id": n} for n in range(1000)])
        quiet = " ".join(fleet.run("plan", *names).stdout.split())
        assert "and has removed nothing yet; copying takes about" in quiet
        assert "the change stream of all databases, writing to the target" in quiet
        for _ in range(3):
            source[name].others.insert_many([{"t": "x" * 1000} for _ in range(500)])
    slow = ("--max-rate", 1)
    row = fleet.run_json("plan", *names, *slow)
    following = row["following"]
    assert following["history_seconds"] < 3 * following["copy_seconds"] == 3 * row["seconds"]
    assert not following["history_grows"]
    assert following["stream"] is None
    (concern,) = (each for each in row["concerns"] if "change history" in each["what"])
    reach = shown_duration(following["history_seconds"])
    assert f"it reaches back {reach}, and copying takes about 16:4" in concern["why"]
    started = fleet.run("migrate", *names, *slow, "--detach")
    assert "copying takes about 16.7 min with --max-rate 1" in " ".join(started.stderr.split())
    unlimited = fleet.run_json("plan", "--include", f"{name}.orders", "--to", f"{name}.copy")
    assert unlimited["following"] is None


@pytest.fixture
def guarded_source(own_services: LocalServices, tmp_path: Path) -> str:
    """Return the address of a replica set with a password, as ``mongodb://{}@host/...``."""
    key = tmp_path / "key"
    key.write_text("c2VjcmV0" * 8)
    key.chmod(0o400)
    arguments = ("--replSet", "guarded", "--auth", "--keyFile", str(key), "--oplogSize", "990")
    site = own_services.start(MongodVariant(arguments, "guarded"))[0].site
    host = f"127.0.0.1:{site.port}"
    direct = f"mongodb://{host}/?directConnection=true"
    with pymongo.MongoClient[dict[str, Any]](direct) as client:
        members = [{"_id": 0, "host": host}]
        client.admin.command("replSetInitiate", {"_id": "guarded", "members": members})

        def made() -> bool:
            with suppress(PyMongoError):
                client.admin.command("createUser", "root", pwd="pa55word", roles=["root"])
                return True
            return False

        wait_until(made, "the first user can be made")
    url = f"mongodb://{{}}:pa55word@{host}/?authSource=admin&replicaSet=guarded"
    with pymongo.MongoClient[dict[str, Any]](url.format("root")) as client:
        admin = client.admin
        actions = ["find", "listCollections", "listIndexes", "collStats"]
        everywhere = {"resource": {"db": "shop", "collection": ""}, "actions": actions}
        admin.command("createRole", "finds", privileges=[everywhere], roles=[])
        admin.command("createUser", "finder", pwd="pa55word", roles=["finds"])
        read = {"role": "read", "db": "shop"}
        admin.command("createUser", "reader", pwd="pa55word", roles=[read])
        client.shop.orders.insert_many([{"_id": n} for n in range(20)])
    return url


def test_rights_that_are_missing_are_named(live_fleet: Fleet, guarded_source: str) -> None:
    fleet = live_fleet
    setting = "FRAMEWORK_SOURCE_DB_CONNECTION_STRING"
    copy = f"{fleet.database}.orders"
    names = ("--include", "shop.orders", "--to", copy, "--follow", "--detach")
    fleet.environment[setting] = guarded_source.format("finder")
    refused = fleet.run("migrate", *names, check=False)
    assert refused.returncode == 2
    assert "may not read its change stream" in refused.stderr
    assert """db.grantRolesToUser(USER, [{"role": "read", "db": "shop"}])""" in refused.stderr
    assert "pa55word" not in refused.stderr
    assert "clusterTime" not in refused.stderr, "the command that the server refused"
    planned = " ".join(fleet.run("plan", *names[:-1]).stdout.split())
    assert "The run would be refused: the source's user may not read its change" in planned
    assert fleet.mongo[fleet.database].list_collection_names() == []
    fleet.environment["FRAMEWORK_SOURCE_DB_NAME"] = "shop"
    assert "the user may not read them (code 13)" in fleet.run("doctor", check=False).stdout

    fleet.environment[setting] = guarded_source.format("reader")
    assert "can be followed" in fleet.run("doctor", check=False).stdout
    fleet.start_worker(1, **{setting: guarded_source.format("reader")})
    run = fleet.run_json("migrate", *names)["run"]
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    with pymongo.MongoClient[dict[str, Any]](guarded_source.format("root")) as client:
        client.shop.orders.delete_one({"_id": 3})
    refused = fleet.run("cutover", run, "--block-writes", check=False)
    assert refused.returncode == 2
    assert "may not run setUserWriteBlockMode" in refused.stderr
    assert "hostManager" in refused.stderr
    fleet.run("cutover", run, "--quiet", "1s")
    assert fleet.mongo[fleet.database].orders.count_documents({}) == 19
