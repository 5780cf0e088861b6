"""A migration never writes to a collection that it reads, whatever its server is called."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.settings import ConfigManager
from producer import MigrationRequest, RunOptions, create_migration_engine
from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig
from tests.fleet import Fleet, wait_until
from tests.support.tcp_proxy import TcpProxy

COUNT = 40
Mongo = MongoClient[dict[str, Any]]


def fill(fleet: Fleet, *collections: str) -> None:
    for name in collections:
        documents = [{"_id": n, "secret": f"{name}-{n}"} for n in range(COUNT)]
        fleet.mongo[fleet.database][name].insert_many(documents)


def contents(fleet: Fleet) -> dict[str, list[Any]]:
    database = fleet.mongo[fleet.database]
    return {
        name: list(database[name].find().sort("_id")) for name in database.list_collection_names()
    }


def refused(fleet: Fleet, *arguments: str) -> str:
    """Run a migration that must be refused before anything is written; its error."""
    before, databases = contents(fleet), set(fleet.mongo.list_database_names())
    done = fleet.run("migrate", *arguments, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert contents(fleet) == before
    assert set(fleet.mongo.list_database_names()) == databases
    assert fleet.ledger.run_ids() == []
    assert "--drop" not in done.stderr
    return done.stderr


def renamed_host(fleet: Fleet) -> None:
    source = fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"] = source.replace(
        "127.0.0.1", "localhost"
    )


@pytest.mark.situation(
    2,
    "source and target are one server by two host names",
    before="source dropped or its values overwritten, `complete`, exit 0",
    now="refused, nothing is written or dropped, exit 2",
)
@pytest.mark.parametrize(
    "flags",
    [
        ("--drop",),
        ("--mask", "secret=faker:email", "--append", "--on-conflict", "replace"),
        (),
        ("--dry-run",),
        ("--drop", "--different-servers"),
    ],
)
def test_a_server_with_two_names_is_one(fleet: Fleet, flags: tuple[str, ...]) -> None:
    fill(fleet, "precious")
    renamed_host(fleet)
    message = refused(fleet, "--include", f"{fleet.database}.precious", *flags)
    assert f"{fleet.database}.precious" in message
    assert "--map" in message


def test_a_server_with_two_names_is_one_from_python(fleet: Fleet) -> None:
    fill(fleet, "precious")
    renamed_host(fleet)
    settings = {key.removeprefix("FRAMEWORK_"): text for key, text in fleet.environment.items()}
    config = ConfigManager().load_config("no-such-file", overrides=settings)
    engine = create_migration_engine(config, in_process=True)
    request = MigrationRequest((f"{fleet.database}.precious",), options=RunOptions(drop=True))
    before = contents(fleet)
    with pytest.raises(UsageError, match="onto itself"):
        asyncio.run(engine.migrate(request))
    assert contents(fleet) == before


@pytest.mark.situation(
    2,
    "the same through a proxy",
    before="source dropped, `complete`, exit 0",
    now="refused, exit 2",
)
def test_a_proxy_hides_no_server(fleet: Fleet) -> None:
    fill(fleet, "precious")
    url = fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"]
    with TcpProxy.before(url) as proxy:
        fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"] = proxy.url(url)
        refused(fleet, "--include", f"{fleet.database}.precious", "--drop")


@pytest.mark.situation(
    2,
    "the same through a simulated account in front of the server",
    before="source dropped, `complete`, exit 0",
    now="refused, exit 2",
)
@pytest.mark.parametrize("sides", [("TARGET",), ("SOURCE",), ("SOURCE", "TARGET")])
def test_simulated_accounts_on_one_server_are_one(fleet: Fleet, sides: tuple[str, ...]) -> None:
    """The simulator gives no UUIDs, like the service: a marker finds out."""
    fill(fleet, "precious")
    url = fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"]
    with CosmosSimulator(SimulatorConfig(url)) as one, CosmosSimulator(SimulatorConfig(url)) as two:
        for side, account in zip(sides, (one, two), strict=False):
            fleet.environment[f"FRAMEWORK_{side}_DB_CONNECTION_STRING"] = account.url
        for flags in ((), ("--different-servers",)):
            message = refused(fleet, "--include", f"{fleet.database}.precious", "--drop", *flags)
            assert "the same server" in message


@pytest.mark.situation(
    2,
    "`--map` lets two collections change places",
    before="both mixed or dropped, `complete`, exit 0",
    now="refused, exit 2",
)
def test_collections_that_change_places_are_refused(fleet: Fleet) -> None:
    fill(fleet, "a", "b", "c")
    renamed_host(fleet)
    name = fleet.database
    swap = ("--map", f"{name}.a={name}.b", "--map", f"{name}.b={name}.a")
    refused(fleet, "--include", f"{name}.a", "--include", f"{name}.b", *swap, "--drop")
    chain = ("--map", f"{name}.a={name}.b", "--map", f"{name}.b={name}.new")
    refused(fleet, "--include", f"{name}.a", "--include", f"{name}.b", *chain, "--append")


def test_views_and_time_series_in_the_way_are_refused(fleet: Fleet) -> None:
    fill(fleet, "a")
    database = fleet.mongo[fleet.database]
    database.create_collection("shown", viewOn="a", pipeline=[])
    database.create_collection("series", timeseries={"timeField": "t"})
    name = fleet.database
    to_view = ("--map", f"{name}.a={name}.shown")
    assert "is a view" in refused(fleet, "--include", f"{name}.a", *to_view, "--drop")
    over_series = ("--map", f"{name}.a={name}.series", "--map", f"{name}.series={name}.new")
    wanted = ("--include", f"{name}.a", "--include", f"{name}.series")
    assert "series" in refused(fleet, *wanted, *over_series, "--drop")


def test_a_copy_within_one_server_is_fine(fleet: Fleet) -> None:
    fill(fleet, "a", "old")
    renamed_host(fleet)
    fleet.start_worker(1, fleet.environment)
    name = fleet.database
    run = fleet.run_json("migrate", "--include", f"{name}.a", "--to", f"{name}.old", "--drop")
    assert (run["state"], run["documents"]) == ("complete", COUNT)
    assert contents(fleet)["old"] == contents(fleet)["a"]


@pytest.mark.situation(
    2,
    "`--drop` of a collection that another run reads",
    before="that run ends `complete` with what it had read",
    now="refused with the run's name, exit 2",
)
def test_drop_spares_what_another_run_reads(fleet: Fleet) -> None:
    fill(fleet, "a", "b")
    name = fleet.database
    reading = ("migrate", "--include", f"{name}.a", "--to", f"{name}.copy", "--detach")
    first = fleet.run_json(*reading)["run"]
    renamed_host(fleet)
    before = contents(fleet)
    for command in (
        ("migrate", "--include", f"{name}.b", "--to", f"{name}.a"),
        ("generate", "service_order", "--total", "5", "--database", name, "--collection", "a"),
    ):
        done = fleet.run(*command, "--drop", check=False)
        assert done.returncode == 2, done.stdout + done.stderr
        assert f"dataworks cancel {first}" in done.stderr
        assert contents(fleet) == before
    fleet.run("cancel", first)
    fleet.run("migrate", "--include", f"{name}.b", "--to", f"{name}.a", "--drop", "--detach")


@pytest.fixture
def other(replica_set_url: str, fleet: Fleet) -> Iterator[Mongo]:
    """Another server, with the fleet's database of its own on it."""
    with Mongo(replica_set_url) as client:
        yield client
        client.drop_database(fleet.database)


def test_a_restored_snapshot_needs_the_flag(
    fleet: Fleet, other: Mongo, replica_set_url: str
) -> None:
    fill(fleet, "a")
    fleet.start_worker(1, {"FRAMEWORK_TARGET_DB_CONNECTION_STRING": replica_set_url})
    (found,) = fleet.mongo[fleet.database].list_collections(filter={"name": "a"})
    create = {
        "op": "c",
        "ns": f"{fleet.database}.$cmd",
        "ui": found["info"]["uuid"],
        "o": {"create": "a"},
    }
    other.admin.command({"applyOps": [create]})
    fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"] = replica_set_url
    wanted = ("--include", f"{fleet.database}.a")
    assert "--different-servers" in refused(fleet, *wanted)
    run = fleet.run_json("migrate", *wanted, "--different-servers")
    assert (run["state"], run["documents"]) == ("complete", COUNT)
    names = other[fleet.database].list_collection_names()
    assert (names, other[fleet.database]["a"].count_documents({})) == (["a"], COUNT)
    check = fleet.run_json("verify", run["run"])
    assert (check["state"], check["failures"]) == ("complete", 0)


@pytest.mark.situation(
    2,
    "a server without UUIDs is source and target",
    before="source dropped, `complete`, exit 0",
    now="a marker is written and looked for; the same account is refused, exit 2",
)
def test_an_account_without_uuids_is_told_apart_by_a_marker(
    fleet: Fleet, other: Mongo, replica_set_url: str
) -> None:
    fill(fleet, "a")
    other[fleet.database].create_collection("a")
    with CosmosSimulator(SimulatorConfig(replica_set_url)) as account:
        fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"] = account.url
        fleet.start_worker(1, fleet.environment)
        wanted = ("migrate", "--include", f"{fleet.database}.a", "--indexes", "none")
        assert "marker" in fleet.run(*wanted, "--dry-run").stdout
        assert other[fleet.database].list_collection_names() == ["a"]
        run = fleet.run_json(*wanted)
    assert (run["state"], run["documents"]) == ("complete", COUNT)
    assert other[fleet.database].list_collection_names() == ["a"]


@pytest.mark.situation(
    2,
    "nobody can know whether they are one server",
    before="not asked",
    now="refused, unless `--different-servers` says so",
)
def test_where_no_marker_can_be_written_the_user_decides(fleet: Fleet, failpoint_url: str) -> None:
    fill(fleet, "a")
    url = failpoint_url
    with Mongo(url) as client, CosmosSimulator(SimulatorConfig(url)) as account:
        client[fleet.database].create_collection("a")
        fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"] = account.url
        wanted = ("migrate", "--include", f"{fleet.database}.a", "--detach")
        unauthorized = {"failCommands": ["insert"], "errorCode": 13}
        fail: dict[str, Any] = {"configureFailPoint": "failCommand"}
        client.admin.command({**fail, "mode": "alwaysOn", "data": unauthorized})
        try:
            done = fleet.run(*wanted, check=False)
            assert done.returncode == 2, done.stdout + done.stderr
            assert "it is not known whether" in done.stderr
            assert "--different-servers" in done.stderr
            assert fleet.ledger.run_ids() == []
            fleet.run(*wanted, "--different-servers")
        finally:
            client.admin.command({**fail, "mode": "off"})
    assert len(fleet.ledger.run_ids()) == 1


@pytest.mark.situation(
    2,
    "a worker reaches another server under the run's host name",
    before="it copies that server's documents, `complete`, exit 0",
    now="it refuses, and `status` says why; so does `resume`",
)
def test_a_worker_on_another_server_of_the_same_name_refuses(
    fleet: Fleet, other: Mongo, replica_set_url: str
) -> None:
    fill(fleet, "a")
    other[fleet.database]["a"].insert_one({"_id": "of the other server"})
    here = fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    elsewhere = TcpProxy.before(replica_set_url)
    with TcpProxy.before(here) as proxy:
        url = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
        fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"] = url
        name = fleet.database
        wanted = ("migrate", "--include", f"{name}.a", "--to", f"{name}.copy", "--detach")
        run = fleet.run_json(*wanted)["run"]
        proxy._address = elsewhere._address
        proxy.reset()
        fleet.start_worker(1, fleet.environment)
        error = wait_until(lambda: fleet.ledger.progress(run).last_error, "the worker refuses")
        assert "another server of the same name" in error
        resumed = fleet.run("resume", run, check=False)
        assert resumed.returncode != 0
        assert "another server of the same name" in resumed.stderr
        assert fleet.ledger.state(run) is RunState.RUNNING
        assert fleet.mongo[name]["copy"].count_documents({}) == 0
        state = json.loads(fleet.run("status", run, "--json", check=False).stdout)
        assert "another server" in state["last_error"]
