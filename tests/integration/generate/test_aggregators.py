"""Fields computed from other collections, on a real mongod."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128, Int64
from pydantic import SecretStr
from pymongo import MongoClient

from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.generate.aggregators.aggregate import (
    DOCUMENTS_PER_UPDATE,
    AggregationAttempt,
    aggregate,
)
from dataworks_tasks.generate.aggregators.aggregation import Aggregation
from dataworks_tasks.runs.lease import UnlimitedLease
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_client import create_database_client
from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig
from tests.fleet import Fleet, pool_children, wait_until

STAFF = {"database": "hr", "collection": "staff", "query": {"department": "$$code"}}
TEMPLATE = [
    {
        "database": "hr",
        "collection": "departments",
        "count": 300,
        "indexes": [{"name": "code", "key": {"code": 1}}],
        "content": {
            "code": {"type": "autoincrement"},
            "employees": {"type": "countAggregator", **STAFF},
            "names": {"type": "valueAggregator", "field": "name", **STAFF},
            "pay": {"type": "boundAggregator", "field": "salary", **STAFF},
            "note": {"type": "string"},
        },
    },
    {
        "database": "hr",
        "collection": "staff",
        "count": 2000,
        "content": {
            "department": {"type": "int", "max": 280, "bsonType": "long"},
            "name": {"type": "string", "minLength": 1, "maxLength": 1},
            "salary": {"type": "int", "max": 90000, "missing": 20},
        },
    },
]


@pytest.fixture
def client(mongodb_url: str) -> Iterator[BaseDatabaseClient]:
    with create_database_client(
        DatabaseConfig(connection_string=SecretStr(mongodb_url))
    ) as connected:
        yield connected


def expected_fields(staff: list[dict[str, Any]], code: int) -> dict[str, Any]:
    mine = [person for person in staff if person["department"] == code]
    pay = [person["salary"] for person in mine if "salary" in person]
    return {
        "employees": len(mine),
        "names": sorted({person["name"] for person in mine}),
        "pay": {"m": min(pay, default=None), "M": max(pay, default=None)},
    }


def test_a_run_fills_them_in_and_can_be_verified_and_tried_again(
    fleet: Fleet, tmp_path: Path
) -> None:
    path = tmp_path / "departments.json"
    path.write_text(json.dumps(TEMPLATE))
    fleet.start_worker(1)
    result = fleet.run_json("generate", path, "--database", fleet.database, "--seed", 5)
    assert (result["state"], result["documents"]) == ("complete", 2300)
    database = fleet.mongo[fleet.database]
    staff = list(database["staff"].find())
    departments = list(database["departments"].find())
    assert len(departments) == 300
    for department in departments:
        wanted = expected_fields(staff, department["code"])
        assert {name: department[name] for name in wanted} == wanted
    assert {department["employees"] for department in departments} >= {0, 5, 7}

    assert fleet.run_json("verify", result["run"])["failures"] == 0
    database["departments"].update_one({"code": 7}, {"$set": {"note": "changed by hand"}})
    check = json.loads(
        fleet.run("verify", result["run"], "--json", check=False).stdout.splitlines()[-1]
    )
    assert check["failures"] == 1


def test_a_finished_run_can_be_retried(fleet: Fleet, tmp_path: Path) -> None:
    path = tmp_path / "departments.json"
    path.write_text(json.dumps(TEMPLATE))
    fleet.start_worker(1)
    database = fleet.mongo[fleet.database]
    database.create_collection("departments", validator={"code": {"$ne": 13}})
    where = ("--database", fleet.database, "--json")
    done = fleet.run("generate", path, *where, check=False)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["failures"] == 1
    database.command("collMod", "departments", validator={})
    assert fleet.run_json("retry", result["run"])["failures"] == 0
    staff = list(database["staff"].find())
    late = database["departments"].find_one({"code": 13})
    assert late is not None
    wanted = expected_fields(staff, 13)
    assert {name: late[name] for name in wanted} == wanted
    assert fleet.run_json("verify", result["run"])["failures"] == 0


def test_every_query_means_what_a_find_means(
    client: BaseDatabaseClient, mongo_client: MongoClient[dict[str, Any]], database_name: str
) -> None:
    database = mongo_client[database_name]
    keys: list[Any] = [1, Int64(2), 2.5, Decimal128("3"), True, "a", None, [1, "a"], {"x": 1}]
    database["own"].insert_many(
        [{"_id": place, "key": {"of": key}} for place, key in enumerate(keys * 2)]
        + [{"_id": 99, "key": {}}]
    )
    held: list[Any] = [*keys, 1.0, 2, 3, [1, 1, 2], [[1]], [], "b", {"x": 1, "y": 2}]
    database["other"].insert_many(
        [
            {"group": group, "in": [{"key": key}, {"key": "b"}], "key": key, "n": number}
            for group in (1, 2)
            for number, key in enumerate(held)
        ]
        + [{"group": 1}]
    )
    queries: dict[str, dict[str, Any]] = {
        "plain": {"key": "$$key.of"},
        "narrowed": {"key": "$$key.of", "group": 2, "n": {"$gt": 3}},
        "within": {"in.key": "$$key.of"},
        "nested": {"key": {"$gte": "$$key.of"}},
        "twice": {"key": "$$key.of", "in.key": "$$key.of"},
        "any": {"$or": [{"key": "$$key.of"}, {"n": "$$_id"}]},
    }
    own, other = Namespace(database_name, "own"), Namespace(database_name, "other")
    for name, query in queries.items():
        aggregate(client, Aggregation(own, name, "count", other, query))
    everything = Aggregation(own, "all", "value", other, {}, "n")
    aggregate(client, everything)

    for document in database["own"].find():
        assert document["all"] == list(range(len(held)))
        if "of" not in document["key"]:
            assert set(document) == {"_id", "key", "all"}
            continue
        for name, query in queries.items():
            text = json.dumps(query)
            filled = json.loads(text, object_hook=partial(fill, document=document))
            assert document[name] == database["other"].count_documents(filled), (name, document)


def fill(found: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    values = {"$$key.of": document["key"]["of"], "$$_id": document["_id"]}
    return {
        name: values[value] if isinstance(value, str) and value in values else value
        for name, value in found.items()
    }


def test_a_second_time_changes_nothing(
    client: BaseDatabaseClient, mongo_client: MongoClient[dict[str, Any]], database_name: str
) -> None:
    database = mongo_client[database_name]
    database["own"].insert_many([{"_id": number, "key": number % 40} for number in range(12_000)])
    database["other"].insert_many(
        [{"key": [number % 50, 3], "value": (number * 7) % 11} for number in range(5000)]
    )
    own, other = Namespace(database_name, "own"), Namespace(database_name, "other")
    query = {"key": "$$key"}
    for kind in ("value", "bound"):
        aggregate(client, Aggregation(own, kind, kind, other, query, "value"))
    before = list(database["own"].find())
    assert len(before) == 12_000
    assert all(document["value"] == list(range(11)) for document in before)
    assert all(document["bound"] == {"m": 0, "M": 10} for document in before)
    for kind in ("value", "bound"):
        aggregate(client, Aggregation(own, kind, kind, other, query, "value"))
    assert list(database["own"].find()) == before


class OneBatch(UnlimitedLease):
    """A lease that is over as soon as somebody looks."""

    reached = True


def test_a_turn_continues_where_the_last_one_ended(
    client: BaseDatabaseClient, mongo_client: MongoClient[dict[str, Any]], database_name: str
) -> None:
    own, other = Namespace(database_name, "own"), Namespace(database_name, "other")
    database = mongo_client[database_name]
    keys: list[Any] = [*range(DOCUMENTS_PER_UPDATE), *(f"k{n:05}" for n in range(3000))]
    database["own"].insert_many([{"_id": key} for key in keys])
    database["other"].insert_one({"x": 1})
    aggregation = Aggregation(own, "n", "count", other, {"x": 1})
    noted: list[Element] = []
    assert not aggregate(
        client, aggregation, AggregationAttempt(note=noted.append, lease=OneBatch())
    )
    assert database["own"].count_documents({"n": 1}) == DOCUMENTS_PER_UPDATE
    database["own"].update_one({"_id": 0}, {"$unset": {"n": ""}})
    assert aggregate(client, aggregation, AggregationAttempt(after=noted[-1]))
    assert [found["_id"] for found in database["own"].find({"n": {"$ne": 1}})] == [0]


def test_a_query_may_take_longer_than_a_socket_waits(
    mongodb_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str
) -> None:
    database = mongo_client[database_name]
    database["own"].insert_one({"_id": 1})
    database["other"].insert_many([{"x": 1}, {"x": 2}])
    slow = {"body": "function() { sleep(700); return true; }", "args": [], "lang": "js"}
    query = {"$expr": {"$function": slow}}
    own, other = Namespace(database_name, "own"), Namespace(database_name, "other")
    url = SecretStr(f"{mongodb_url}?socketTimeoutMS=400")
    with create_database_client(DatabaseConfig(connection_string=url)) as hasty:
        assert aggregate(hasty, Aggregation(own, "n", "count", other, query))
    assert database["own"].find_one() == {"_id": 1, "n": 2}


def test_a_killed_worker_costs_no_value_and_the_budget_holds(fleet: Fleet, tmp_path: Path) -> None:
    departments, staff = (json.loads(json.dumps(entry)) for entry in TEMPLATE)
    departments["count"], staff["count"] = 400, 200
    path = tmp_path / "departments.json"
    path.write_text(json.dumps([departments, staff]))
    worker = fleet.start_worker(1)
    fleet.start("generate", path, "--database", fleet.database, "--max-rate", 600)
    run_id = fleet.newest_run()

    def shown() -> bool:
        return "computing names of" in (fleet.ledger.progress(run_id).finishing or "")

    wait_until(shown, "the second of three fields is computed")
    for child in list(pool_children(worker)):
        child.kill()
    wait_until(lambda: fleet.ledger.progress(run_id).finished_at, "the run ends")
    progress = fleet.ledger.progress(run_id)
    assert progress.state == "complete"
    assert progress.finished_at is not None
    # 600 documents and 1,200 updates.
    assert (progress.finished_at - progress.created_at).total_seconds() > 2.5
    people = list(fleet.mongo[fleet.database]["staff"].find())
    for department in fleet.mongo[fleet.database]["departments"].find():
        wanted = expected_fields(people, department["code"])
        assert {name: department[name] for name in wanted} == wanted


def test_a_throttling_account_is_sent_again_only_what_it_refused(
    mongodb_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str
) -> None:
    database = mongo_client[database_name]
    database["own"].insert_many([{"_id": n, "k": n % 50} for n in range(1500)])
    database["other"].insert_many([{"k": n % 40} for n in range(400)])
    own, other = Namespace(database_name, "own"), Namespace(database_name, "other")
    with CosmosSimulator(SimulatorConfig(mongodb_url, ru_per_second=9000)) as account:
        url = SecretStr(account.url)
        with create_database_client(DatabaseConfig(connection_string=url)) as client:
            client.warm_up()
            assert aggregate(client, Aggregation(own, "n", "count", other, {"k": "$$k"}))
        assert account.statistics().throttled_requests > 0
    assert database["own"].count_documents({"n": 10}) == 1200
    assert database["own"].count_documents({"n": 0}) == 300


@pytest.mark.situation(
    13,
    "the server refuses a computed field of one document",
    before="`failed`",
    now="that document's failure, exit 4",
)
def test_a_value_that_the_server_refuses_is_one_documents_failure(
    fleet: Fleet, tmp_path: Path
) -> None:
    path = tmp_path / "departments.json"
    path.write_text(json.dumps(TEMPLATE))
    fleet.start_worker(1)
    database = fleet.mongo[fleet.database]
    rule = {"$or": [{"code": {"$ne": 13}}, {"employees": {"$exists": False}}]}
    database.create_collection("departments", validator=rule)
    done = fleet.run("generate", path, "--database", fleet.database, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    run_id = fleet.newest_run()
    [failure] = fleet.ledger.failures(run_id)
    assert "employees could not be written" in failure.reason
    late = database["departments"].find_one({"code": 13})
    assert late is not None
    assert "employees" not in late
    assert database["departments"].count_documents({"employees": {"$exists": False}}) == 1
    database.command("collMod", "departments", validator={})
    assert fleet.run_json("retry", run_id)["failures"] == 0
    assert "employees" in (database["departments"].find_one({"code": 13}) or {})
