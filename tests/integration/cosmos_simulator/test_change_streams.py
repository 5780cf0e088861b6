"""Change streams as accounts have them: with request units, and of Azure DocumentDB."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import pymongo
import pytest
from bson.timestamp import Timestamp
from pymongo.errors import OperationFailure

from dataworks_tasks.settings.database import DatabaseConfig, DatabaseType
from dataworks_tasks.store.create_client import create_database_client
from producer.cosmos_simulator import CosmosSimulator, FaultDials, Service, SimulatorConfig

Client = pymongo.MongoClient[dict[str, Any]]
Start = Callable[..., tuple[CosmosSimulator, Client]]
MATCH = {"$match": {"operationType": {"$in": ["insert", "update", "replace"]}}}
PROJECT = {"$project": {"_id": 1, "fullDocument": 1, "ns": 1, "documentKey": 1}}


@pytest.fixture
def start(mongodb_url: str) -> Iterator[Start]:
    """Yield a simulator with change streams and a client of it; both end with the test."""
    with ExitStack() as stack:

        def begin(**settings: Any) -> tuple[CosmosSimulator, Client]:
            config = SimulatorConfig(mongodb_url, change_streams=True, **settings)
            simulator = stack.enter_context(CosmosSimulator(config))
            return simulator, stack.enter_context(pymongo.MongoClient(simulator.url))

        yield begin


def opened(client: Client, database: str, **options: Any) -> dict[str, Any]:
    """Return the first page of a stream over ``orders``, in the only way that is allowed."""
    stage = {"$changeStream": {"fullDocument": "updateLookup", **options}}
    return run(client, database, [stage, MATCH, PROJECT])


def run(client: Client, database: str, pipeline: Sequence[Any], size: int = 100) -> dict[str, Any]:
    command = {"aggregate": "orders", "pipeline": pipeline, "cursor": {"batchSize": size}}
    cursor: dict[str, Any] = client[database].command(command)["cursor"]
    return cursor


def more(client: Client, database: str, cursor: Mapping[str, Any], size: int = 100) -> list[Any]:
    command = {"getMore": cursor["id"], "collection": "orders", "batchSize": size, "maxTimeMS": 300}
    found: list[Any] = client[database].command(command)["cursor"]["nextBatch"]
    return found


def tokens(client: Client, database: str, **options: Any) -> list[Any]:
    action = {"customAction": "GetChangeStreamTokens", "collection": "orders", **options}
    found: list[Any] = client[database].command(action)["resumeAfterTokens"]
    return found


def ids(events: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [event["documentKey"]["_id"] for event in events]


def test_events_are_latest_versions_without_operation_or_deletion(
    start: Start, database_name: str
) -> None:
    _, client = start()
    orders = client[database_name]["orders"]
    orders.insert_one({"_id": 0})
    cursor = opened(client, database_name)
    assert cursor["firstBatch"] == []
    orders.insert_many([{"_id": n, "state": "new"} for n in (1, 2, 3)])
    orders.update_one({"_id": 1}, {"$set": {"state": "paid"}})
    orders.update_many({"state": "new"}, {"$set": {"state": "open"}})
    orders.replace_one({"_id": 4}, {"state": "late"}, upsert=True)
    orders.find_one_and_update({"_id": 0}, {"$set": {"state": "old"}})
    orders.delete_one({"_id": 3})
    events = more(client, database_name, cursor)
    assert sorted(ids(events)) == [0, 1, 2, 4]
    assert {event["documentKey"]["_id"]: event["fullDocument"]["state"] for event in events} == {
        0: "old",
        1: "paid",
        2: "open",
        4: "late",
    }
    assert {frozenset(event) for event in events} == {
        frozenset({"_id", "fullDocument", "ns", "documentKey"})
    }
    assert len({bytes(event["_id"]["_data"]) for event in events}) == 1, "one token a page"
    assert more(client, database_name, cursor) == []


@pytest.mark.parametrize(
    ("pipeline", "reason"),
    [
        ([], "Match stage must include constraints"),
        ([PROJECT, MATCH], "Match stage must include constraints"),
        ([{"$match": {"operationType": {"$in": ["insert", "delete"]}}}, PROJECT], "Match stage"),
        ([MATCH], r"must be \$match and then \$project"),
        ([MATCH, {"$project": {"documentKey": 1}}], r"must be \$match and then \$project"),
    ],
)
def test_only_the_required_pipeline_is_taken(
    start: Start, database_name: str, pipeline: list[Any], reason: str
) -> None:
    _, client = start()
    client[database_name].create_collection("orders")
    stage = {"$changeStream": {"fullDocument": "updateLookup"}}
    with pytest.raises(OperationFailure, match=reason):
        run(client, database_name, [stage, *pipeline])
    with pytest.raises(OperationFailure, match="must be updateLookup"):
        run(client, database_name, [{"$changeStream": {}}, MATCH, PROJECT])


def test_a_stream_is_of_one_collection(start: Start, database_name: str) -> None:
    _, client = start()
    pipeline = [{"$changeStream": {"fullDocument": "updateLookup"}}, MATCH, PROJECT]
    command = {"aggregate": 1, "pipeline": pipeline, "cursor": {}}
    with pytest.raises(OperationFailure, match="single collection only"):
        client[database_name].command(command)


def test_each_physical_partition_has_a_token_and_the_documents_of_its_own(
    start: Start, database_name: str
) -> None:
    _, client = start(physical_partitions=3)
    action = {"customAction": "CreateCollection", "collection": "orders", "shardKey": "tenant"}
    client[database_name].command(action)
    made = [{"_id": n, "tenant": f"t{n % 20}"} for n in range(100)]
    client[database_name]["orders"].insert_many(made)
    found = tokens(client, database_name, startAtOperationTime=Timestamp(0, 0))
    assert len(found) == 3
    ranges = [json.loads(bytes(one["_data"]))["Continuation"] for one in found]
    assert [len(one) for one in ranges] == [1, 1, 1]
    bounds = [one[0]["FeedRange"]["value"] for one in ranges]
    assert bounds[0]["min"] == ""
    assert [one["max"] for one in bounds[:-1]] == [one["min"] for one in bounds[1:]]
    parts = [opened(client, database_name, resumeAfter=one)["firstBatch"] for one in found]
    assert sorted(number for part in parts for number in ids(part)) == list(range(100))
    tenants = [{event["documentKey"]["tenant"] for event in part} for part in parts]
    assert all(tenants)
    assert sum(map(len, tenants)) == 20, "a tenant is in one partition"


def test_a_stream_resumes_at_a_page_and_from_any_time(start: Start, database_name: str) -> None:
    _, client = start(physical_partitions=2)
    orders = client[database_name]["orders"]
    orders.insert_many([{"_id": n} for n in range(50)])
    everything = opened(client, database_name, startAtOperationTime=Timestamp(0, 0))
    assert sorted(ids(everything["firstBatch"])) == list(range(50))
    now = opened(client, database_name, startAtOperationTime=Timestamp(int(time.time()) + 100, 1))
    assert now["firstBatch"] == []
    seen: list[Any] = []
    given: dict[str, Any] = {"startAtOperationTime": Timestamp(0, 0)}
    for _ in range(20):
        stage = {"$changeStream": {"fullDocument": "updateLookup", **given}}
        page = run(client, database_name, [stage, MATCH, PROJECT], size=7)["firstBatch"]
        if not page:
            break
        assert len(page) <= 7
        seen += ids(page)
        given = {"resumeAfter": page[0]["_id"]}
    assert sorted(seen) == list(range(50)), "each token is where its page ends"


def test_documents_from_before_the_simulator_come_first(
    start: Start, database_name: str, mongo_client: Client
) -> None:
    mongo_client[database_name]["orders"].insert_many([{"_id": n} for n in range(2_500)])
    _, client = start()
    client[database_name]["orders"].update_one({"_id": 7}, {"$set": {"new": True}})
    stage = {
        "$changeStream": {"fullDocument": "updateLookup", "startAtOperationTime": Timestamp(0, 0)}
    }
    found = run(client, database_name, [stage, MATCH, PROJECT], size=5_000)["firstBatch"]
    assert sorted(ids(found)) == list(range(2_500))
    assert opened(client, database_name)["firstBatch"] == []


def test_throttling_is_an_empty_page_and_no_error(start: Start, database_name: str) -> None:
    quiet, client = start()
    client[database_name]["orders"].insert_one({"_id": 1})
    rough, throttled = start(faults=FaultDials(throttle_share=1.0))
    stage = {"fullDocument": "updateLookup", "startAtOperationTime": Timestamp(0, 0)}
    cursor = opened(throttled, database_name, **stage)
    assert cursor["firstBatch"] == []
    assert more(throttled, database_name, cursor) == []
    assert rough.statistics().throttled_requests == 2
    assert ids(opened(client, database_name, **stage)["firstBatch"]) == [1]
    assert quiet.statistics().throttled_requests == 0


def test_a_dropped_collection_ends_a_stream_and_its_tokens(
    start: Start, database_name: str
) -> None:
    _, client = start()
    orders = client[database_name]["orders"]
    with pytest.raises(OperationFailure) as missing:
        opened(client, database_name)
    assert missing.value.code == 26
    orders.insert_one({"_id": 1})
    cursor = opened(client, database_name)
    given = tokens(client, database_name)[0]
    orders.drop()
    with pytest.raises(OperationFailure) as dropped:
        more(client, database_name, cursor)
    assert dropped.value.code == 26
    orders.insert_one({"_id": 2})
    with pytest.raises(OperationFailure, match="Rid mismatch"):
        opened(client, database_name, resumeAfter=given)


def test_cursors_are_lost_like_others(start: Start, database_name: str) -> None:
    _, client = start(faults=FaultDials(cursor_cut_share=1.0))
    client[database_name]["orders"].insert_one({"_id": 1})
    with pytest.raises(OperationFailure) as lost:
        more(client, database_name, opened(client, database_name))
    assert lost.value.code == 43


def test_the_drivers_own_stream_works(start: Start, database_name: str) -> None:
    _, client = start()
    orders = client[database_name]["orders"]
    orders.insert_one({"_id": 0})
    watch = partial(
        orders.watch, [MATCH, PROJECT], full_document="updateLookup", max_await_time_ms=200
    )
    with watch() as stream:
        assert stream.try_next() is None
        orders.insert_one({"_id": 1})
        event = stream.try_next()
        assert event is not None
        assert event["documentKey"] == {"_id": 1}
        token = stream.resume_token
    orders.insert_one({"_id": 2})
    with watch(resume_after=token) as again:
        event = again.try_next()
        assert event is not None
        assert event["documentKey"] == {"_id": 2}


def test_without_the_option_there_are_none(mongodb_url: str, database_name: str) -> None:
    with (
        CosmosSimulator(SimulatorConfig(mongodb_url)) as simulator,
        pymongo.MongoClient[dict[str, Any]](simulator.url) as client,
    ):
        client[database_name]["orders"].insert_one({"_id": 1})
        with pytest.raises(OperationFailure, match="not enabled"):
            opened(client, database_name)
        with pytest.raises(OperationFailure, match="not enabled"):
            tokens(client, database_name)


# Azure DocumentDB.


@pytest.fixture
def documentdb(start: Start) -> Client:
    _, client = start(service=Service.AZURE_DOCUMENTDB)
    return client


def test_documentdb_is_recognized_by_its_hello(documentdb: Client, start: Start) -> None:
    simulator, _ = start(service=Service.AZURE_DOCUMENTDB)
    config = DatabaseConfig.model_validate({"connection_string": simulator.url})
    with create_database_client(config) as client:
        client.warm_up()
        assert client.db_type is DatabaseType.AZURE_DOCUMENTDB
    with pytest.raises(OperationFailure) as unknown:
        documentdb["shop"].command({"customAction": "GetDatabase"})
    assert unknown.value.code == 59


def test_documentdb_has_every_change_with_its_operation(
    documentdb: Client, database_name: str
) -> None:
    orders = documentdb[database_name]["orders"]
    orders.insert_one({"_id": 0})
    cursor = run(documentdb, database_name, [{"$changeStream": {}}])
    orders.insert_one({"_id": 1, "n": 1})
    orders.update_one({"_id": 1}, {"$set": {"n": 2}})
    orders.replace_one({"_id": 1}, {"n": 3})
    orders.update_one({"_id": 1}, {"$set": {"n": 3}})  # changes nothing
    orders.delete_many({})
    events = more(documentdb, database_name, cursor)
    assert [event["operationType"] for event in events] == [
        *("insert", "update", "replace", "delete", "delete")
    ]
    assert [event["fullDocument"]["n"] for event in events[:3]] == [1, 2, 3]
    assert all(event["wallTime"].microsecond == 0 for event in events)
    assert not {"clusterTime", "updateDescription"} & {name for event in events for name in event}
    began = time.monotonic()
    assert more(documentdb, database_name, cursor) == []
    assert time.monotonic() - began < 0.25, "getMore does not wait"


def test_documentdb_tokens_are_opaque_and_resume_anywhere(
    documentdb: Client, database_name: str
) -> None:
    orders = documentdb[database_name]["orders"]
    cursor = run(documentdb, database_name, [{"$changeStream": {}}])
    orders.insert_many([{"_id": n} for n in range(10)])
    events = more(documentdb, database_name, cursor)
    data = [event["_id"]["_data"] for event in events]
    assert len(set(data)) == 10
    assert all(base64.b64decode(one, validate=True) for one in data)
    for position in (0, 4, 9):
        stage = {"$changeStream": {"resumeAfter": {"_data": data[position]}}}
        rest = run(documentdb, database_name, [stage])["firstBatch"]
        assert ids(rest) == list(range(position + 1, 10))
    with pytest.raises(OperationFailure, match="Invalid resume token"):
        run(documentdb, database_name, [{"$changeStream": {"resumeAfter": {"_data": "82AB"}}}])


def test_documentdb_takes_few_stages_and_options(documentdb: Client, database_name: str) -> None:
    orders = documentdb[database_name]["orders"]
    stages: list[dict[str, Any]] = [
        {"$changeStream": {}},
        {"$match": {"operationType": "insert"}},
        {"$project": {"documentKey": 1}},
    ]
    cursor = run(documentdb, database_name, stages)
    orders.insert_one({"_id": 1, "price": "$n"})
    orders.delete_one({"_id": 1})
    events = more(documentdb, database_name, cursor)
    assert [(sorted(event), event["documentKey"]) for event in events] == [
        (["_id", "documentKey"], {"_id": 1})
    ]
    for stage, option in (({"$group": {"_id": None}}, {}), ({}, {"showExpandedEvents": True})):
        pipeline = [{"$changeStream": option}, *([stage] if stage else [])]
        with pytest.raises(OperationFailure, match=r"not permitted|not supported"):
            run(documentdb, database_name, pipeline)
    timed = [{"$changeStream": {"startAtOperationTime": Timestamp(1, 1)}}]
    with pytest.raises(OperationFailure, match="startAtOperationTime is not supported"):
        run(documentdb, database_name, timed)


def test_documentdb_streams_a_cluster_and_says_by_text_that_history_is_lost(
    start: Start, database_name: str
) -> None:
    _, client = start(service=Service.AZURE_DOCUMENTDB, change_history_bytes=20_000)
    with client.watch(max_await_time_ms=100) as everything:
        client[database_name]["orders"].insert_one({"_id": 1})
        client[f"{database_name}_2"]["other"].insert_one({"_id": 2})
        first, second = everything.try_next(), everything.try_next()
        assert first is not None
        assert second is not None
        assert [first["ns"]["coll"], second["ns"]["coll"]] == ["orders", "other"]
    cursor = run(client, database_name, [{"$changeStream": {}}])
    client[database_name]["orders"].insert_many([{"_id": n, "x": "x" * 500} for n in range(2, 90)])
    client.drop_database(f"{database_name}_2")
    for lost in (
        lambda: more(client, database_name, cursor),
        lambda: run(client, database_name, [{"$changeStream": {"resumeAfter": first["_id"]}}]),
    ):
        with pytest.raises(OperationFailure, match="Expired resume token or cursor"):
            lost()


def test_documentdb_keeps_the_stream_of_a_dropped_collection_silent(
    documentdb: Client, database_name: str
) -> None:
    orders = documentdb[database_name]["orders"]
    orders.insert_one({"_id": 1})
    cursor = run(documentdb, database_name, [{"$changeStream": {}}])
    orders.drop()
    assert more(documentdb, database_name, cursor) == []
