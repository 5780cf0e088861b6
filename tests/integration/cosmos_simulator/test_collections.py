"""Collections, shard keys, limits, refused commands and pages, through PyMongo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import bson
import pytest
from pymongo import MongoClient, UpdateOne
from pymongo.errors import BulkWriteError, OperationFailure, WriteError

from producer.cosmos_simulator import CosmosSimulator

Client = MongoClient[dict[str, Any]]
Connect = Callable[[CosmosSimulator], Client]


@pytest.fixture
def client(start_simulator: Any, connect: Connect) -> Client:
    return connect(start_simulator())


def code_of(run: Callable[[], object]) -> int | None:
    with pytest.raises(OperationFailure) as caught:
        run()
    return caught.value.code


def test_custom_actions(client: Client, mongo_client: Client, database_name: str) -> None:
    database = client[database_name]

    def action(name: str, **fields: Any) -> dict[str, Any]:
        return database.command({"customAction": name, **fields})

    action("CreateCollection", collection="plain")
    plain = action("GetCollection", collection="plain")
    assert plain == {
        **{"database": database_name, "collection": "plain", "provisionedThroughput": 400},
        "ok": 1,
    }
    sharded = {"collection": "sharded", "shardKey": "a.b"}
    indexes = [{"key": {"_id": 1}, "name": "_id_"}, {"key": {"n": 1}, "name": "n_1"}]
    settings = {"autoScaleSettings": {"maxThroughput": 40000}, "indexes": indexes}
    action("CreateCollection", **sharded, **settings)
    found = action("GetCollection", collection="sharded")
    assert found["shardKeyDefinition"] == {"a.b": "hashed"}
    assert found["provisionedThroughput"] == 4000
    assert found["autoScaleSettings"] == {"maxThroughput": 40000}
    assert set(mongo_client[database_name]["sharded"].index_information()) == {"_id_", "n_1"}
    action("UpdateCollection", collection="plain", offerThroughput=1200)
    assert action("GetCollection", collection="plain")["provisionedThroughput"] == 1200
    assert code_of(lambda: action("CreateCollection", collection="plain")) == 48
    assert code_of(lambda: action("GetCollection", collection="missing")) == 26
    too_much = {"collection": "big", "offerThroughput": 11000}
    assert code_of(lambda: action("CreateCollection", **too_much)) == 2
    assert code_of(lambda: action("CreateUniverse")) == 115
    action("CreateDatabase", offerThroughput=5000)
    assert action("GetDatabase")["provisionedThroughput"] == 5000
    database["plain"].drop()
    assert code_of(lambda: action("GetCollection", collection="plain")) == 26


def test_documents_and_statements_must_carry_the_shard_key(
    client: Client, mongo_client: Client, database_name: str
) -> None:
    database = client[database_name]
    client.admin.command({"shardCollection": f"{database_name}.c", "key": {"k": "hashed"}})
    collection = database["c"]
    with pytest.raises(BulkWriteError) as caught:
        collection.insert_many([{"_id": 1, "k": 1}, {"_id": 2}, {"_id": 3, "k": 3}], ordered=False)
    errors = [(entry["index"], entry["code"]) for entry in caught.value.details["writeErrors"]]
    assert errors == [(1, 61)]
    assert "document does not contain shard key" in str(caught.value.details)
    assert mongo_client[database_name]["c"].count_documents({}) == 2
    assert code_of(lambda: collection.update_one({"_id": 1}, {"$set": {"v": 1}})) == 61
    assert code_of(lambda: collection.delete_one({"_id": 1})) == 61
    assert code_of(lambda: collection.find_one_and_delete({"_id": 1})) == 61
    result = collection.bulk_write(
        [UpdateOne({"_id": n, "k": n}, {"$set": {"v": 1}}, upsert=True) for n in (1, 4)]
    )
    assert (result.matched_count, result.upserted_ids) == (1, {1: 4})
    assert collection.delete_one({"_id": 1, "k": 1}).deleted_count == 1
    other = {"shardCollection": f"{database_name}.c", "key": {"z": "hashed"}}
    assert code_of(lambda: client.admin.command(other)) == 23


@pytest.mark.parametrize("command", [{"drop": "c"}, {"dropDatabase": 1}])
def test_a_dropped_collection_has_no_shard_key_any_more(
    client: Client, database_name: str, command: dict[str, Any]
) -> None:
    client.admin.command({"shardCollection": f"{database_name}.c", "key": {"k": "hashed"}})
    collection = client[database_name]["c"]
    assert code_of(lambda: collection.insert_one({"_id": 1})) == 61
    client[database_name].command(command)
    collection.insert_one({"_id": 1})


def test_limits_of_a_document(
    client: Client, mongo_client: Client, start_simulator: Any, connect: Connect, database_name: str
) -> None:
    large = {"_id": 1, "pad": "x" * (2 * 1024 * 1024)}
    collection = client[database_name]["c"]
    with pytest.raises(WriteError) as caught:
        collection.insert_one(large)
    assert caught.value.code == 16
    with pytest.raises(WriteError, match="1023"):
        collection.insert_one({"_id": "x" * 1024})
    assert mongo_client[database_name]["c"].count_documents({}) == 0
    roomy = connect(start_simulator(max_document_bytes=16 * 1024 * 1024))[database_name]["c"]
    roomy.insert_one(large)
    roomy.insert_one({"_id": 2, "pad": "x" * 10_000_000})
    assert [len(document["pad"]) for document in roomy.find()] == [2 * 1024 * 1024, 10_000_000]
    too_many = [{"_id": number} for number in range(1001)]
    assert code_of(lambda: client[database_name].command("insert", "c", documents=too_many)) == 16


def test_refused_commands(client: Client, database_name: str) -> None:
    database = client[database_name]
    database["c"].insert_one({"_id": 1})
    assert code_of(lambda: client.admin.command("serverStatus")) == 115
    assert code_of(lambda: database.command("collMod", "c")) == 115
    assert code_of(lambda: database["c"].rename("d")) == 115
    assert code_of(lambda: list(database["c"].aggregate([{"$collStats": {"count": {}}}]))) == 40324
    assert code_of(lambda: list(database["c"].find(hint="_id_", min=[("_id", 1)]))) == 115
    assert code_of(lambda: database["c"].create_index([("t", "text")])) == 67
    assert code_of(lambda: database["c"].create_index("u", unique=True)) == 67
    retried = {"insert": "c", "documents": [{}], "txnNumber": bson.Int64(1)}
    with pytest.raises(OperationFailure, match="retrywrites=false"):
        database.command(retried)
    database["c"].create_index("a")
    listed = database.command("listIndexes", "c")["cursor"]["firstBatch"]
    assert [(each["name"], each["v"], each["ns"]) for each in listed] == [
        ("_id_", 1, f"{database_name}.c"),
        ("a_1", 1, f"{database_name}.c"),
    ]


def test_sample_gives_the_same_document_again(client: Client, database_name: str) -> None:
    collection = client[database_name]["c"]
    collection.insert_many([{"_id": number, "v": number} for number in range(1000)])
    sampled = list(collection.aggregate([{"$sample": {"size": 11}}]))
    assert len(sampled) == 11
    assert len({document["_id"] for document in sampled}) == 6
    assert all(set(document) == {"_id", "v"} for document in sampled)


def test_pages_are_at_most_4_mb_and_lose_nothing(
    client: Client, mongo_client: Client, database_name: str
) -> None:
    documents = [{"_id": number, "pad": "x" * 50_000} for number in range(500)]
    mongo_client[database_name]["c"].insert_many(documents)
    cursor = client[database_name]["c"].find_raw_batches(batch_size=400, sort=[("_id", 1)])
    pages = [cast("bytes", page) for page in cursor]  # the driver's stubs call them documents
    assert all(len(page) <= 4 * 1024 * 1024 for page in pages)
    assert len(pages) >= 6
    assert [each["_id"] for page in pages for each in bson.decode_all(page)] == list(range(500))
    first = client[database_name]["c"].find(limit=300, batch_size=300)
    assert len(list(first)) == 300
