"""What a server refuses of one document is that document's failure, however it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bson
import pytest
from bson.datetime_ms import DatetimeMS
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.generate.aggregators.aggregation_write import (
    Update,
    Updates,
    UpdateTarget,
    write_updates,
)
from dataworks_tasks.migrate.zero_timestamps import write_one_by_one
from dataworks_tasks.runs.choices import OnConflict
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.bulk_write import WritePolicy, write_batch
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_client import create_database_client
from dataworks_tasks.store.write_budget import Reservation
from dataworks_tasks.store.write_outcome import WriteOutcome

FAR = DatetimeMS(253_402_300_800_000)
REPLACING = WritePolicy(on_conflict=OnConflict.REPLACE)
MULTIPLE_WRITERS = {"insert": write_batch, "one by one": write_one_by_one}


def _nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(levels):
        document = {"a": document}
    return document


@dataclass(frozen=True)
class Situation:
    """A collection, and fields of the document 2 that it does not take."""

    title: str
    fields: Mapping[str, Any]
    reason: str
    make: Callable[[Database[Any], str], object] = lambda database, name: database[name]


def _unique(database: Database[Any], name: str) -> None:
    database[name].create_index("key", unique=True, sparse=True)
    database[name].insert_one({"_id": "other", "key": FAR})


def _validated(database: Database[Any], name: str) -> None:
    database.create_collection(name, validator={"key": {"$not": {"$eq": FAR}}})


SITUATIONS = [
    Situation("unique index with a far date", {"key": FAR}, "unique index|key_1", _unique),
    Situation("validator", {"key": FAR}, "121", _validated),
    Situation(
        "geo index",
        {"place": "nowhere"},
        "geo",
        lambda database, name: database[name].create_index([("place", "2dsphere")]),
    ),
    Situation(
        "parallel arrays",
        {"a": [1], "b": [2]},
        "parallel arrays",
        lambda database, name: database[name].create_index([("a", 1), ("b", 1)]),
    ),
    Situation("nested too deeply to store", _nested(190), "nest"),
    Situation("nested too deeply to send", _nested(250), "depth"),
    Situation(
        "a text index language",
        {"text": "a", "language": "klingon"},
        "language",
        lambda database, name: database[name].create_index([("text", "text")]),
    ),
]


@pytest.fixture
def client(mongodb_url: str) -> Iterator[BaseDatabaseClient]:
    with create_database_client(DatabaseConfig(connection_string=SecretStr(mongodb_url))) as made:
        made.warm_up()
        yield made


@pytest.mark.parametrize("there", [False, True], ids=["insert", "replace"])
@pytest.mark.parametrize("writer", MULTIPLE_WRITERS)
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.title)
def test_only_the_refused_document_fails(
    situation: Situation,
    writer: str,
    there: bool,
    client: BaseDatabaseClient,
    mongo_client: MongoClient[dict[str, Any]],
    database_name: str,
) -> None:
    database = mongo_client[database_name]
    situation.make(database, "c")
    if there:
        database["c"].insert_many({"_id": number, "old": True} for number in range(4))
    documents = [{"_id": number, "n": number} for number in range(4)]
    documents[2] |= situation.fields
    batch = EncodedBatch.of(bson.encode(document) for document in documents)
    write: Any = MULTIPLE_WRITERS[writer]
    result = write(client, Namespace(database_name, "c"), batch, REPLACING)
    [failure] = result.failures
    assert failure.position == 2
    assert re.search(situation.reason, failure.reason)
    assert len(failure.reason) < 1000
    assert not result.pending
    found = {
        document["_id"]: document for document in database["c"].find({"_id": {"$ne": "other"}})
    }
    assert {number: found[number].get("n") for number in (0, 1, 3)} == {0: 0, 1: 1, 3: 3}
    assert found.get(2) == ({"_id": 2, "old": True} if there else None)


@pytest.mark.parametrize(
    "fields",
    [
        {"$in": 1},
        {"$set": {"n": 9}},
        {"n": 1, "$db": "x"},
        {"$ref": "a", "$id": 1},
        {"": 1, "a.b": 2},
    ],
)
@pytest.mark.parametrize("writer", MULTIPLE_WRITERS)
def test_names_that_an_update_would_take_for_operators_are_replaced_byte_for_byte(
    fields: Mapping[str, Any],
    writer: str,
    client: BaseDatabaseClient,
    mongo_client: MongoClient[dict[str, Any]],
    database_name: str,
) -> None:
    database = mongo_client[database_name]
    database["c"].insert_one({"_id": 1, "old": True})
    document = bson.encode({"_id": 1, **fields})
    result: Any = MULTIPLE_WRITERS[writer]
    result = result(client, Namespace(database_name, "c"), EncodedBatch.of([document]), REPLACING)
    assert (result.replaced, result.failures) == (1, [])
    assert list(client.find_raw(Namespace(database_name, "c"), {})) == [document]


def test_a_document_that_is_deleted_meanwhile_is_written(
    client: BaseDatabaseClient,
    mongo_client: MongoClient[dict[str, Any]],
    database_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the duplicate key and the replacement somebody deletes the document."""
    collection = mongo_client[database_name]["c"]
    collection.insert_one({"_id": 1, "old": True})
    find_all = client.find_all

    def find_and_delete(*arguments: Any) -> list[bytes]:
        found = find_all(*arguments)
        collection.delete_one({"_id": 1})
        return found

    monkeypatch.setattr(client, "find_all", find_and_delete)
    batch = EncodedBatch.of([bson.encode({"_id": 1, "new": True})])
    result = write_batch(client, Namespace(database_name, "c"), batch, REPLACING)
    assert (result.replaced, result.failures) == (1, [])
    assert list(collection.find()) == [{"_id": 1, "new": True}]


@pytest.mark.parametrize("situation", SITUATIONS[:4], ids=lambda situation: situation.title)
def test_a_computed_field_that_is_refused_is_one_documents_failure(
    situation: Situation,
    client: BaseDatabaseClient,
    mongo_client: MongoClient[dict[str, Any]],
    database_name: str,
) -> None:
    database = mongo_client[database_name]
    situation.make(database, "c")
    database["c"].insert_many({"_id": number} for number in range(4))
    changes: list[Mapping[str, Any]] = [{"$set": {"n": number}} for number in range(4)]
    changes[2] = {"$set": situation.fields}
    updates = [Update({"_id": number}, change) for number, change in enumerate(changes)]
    target = UpdateTarget(client, Namespace(database_name, "c"), "majority")
    [refused] = write_updates(target, Updates(updates, 400))
    assert refused.update.query == {"_id": 2}
    assert re.search(situation.reason, refused.reason)
    assert database["c"].count_documents({"n": {"$exists": True}}) == 3


class HesitantLimiter:
    """Gives up twice, as where other runs wait and the budget is small."""

    def __init__(self) -> None:
        self.given_up = 0
        self.recorded: list[Reservation] = []

    def max_documents(self, _bytes_per_document: float) -> int | None:
        return None

    def reserve(
        self, documents: int, _size_bytes: int, _until: float | None = None
    ) -> Reservation | None:
        if self.given_up < 2:
            self.given_up += 1
            return None
        return Reservation(documents, 0.0)

    def record(self, reservation: Reservation, _outcome: WriteOutcome) -> None:
        self.recorded.append(reservation)


def test_computed_fields_are_not_written_without_a_reservation(
    client: BaseDatabaseClient, mongo_client: MongoClient[dict[str, Any]], database_name: str
) -> None:
    mongo_client[database_name]["c"].insert_one({"_id": 0})
    limiter = HesitantLimiter()
    target = UpdateTarget(client, Namespace(database_name, "c"), "majority", limiter)
    assert write_updates(target, Updates([Update({"_id": 0}, {"$set": {"n": 1}})], 50)) == []
    assert limiter.given_up == 2
    assert [reservation.documents for reservation in limiter.recorded] == [1]


def test_a_path_through_a_scalar_is_one_documents_failure(
    client: BaseDatabaseClient, mongo_client: MongoClient[dict[str, Any]], database_name: str
) -> None:
    mongo_client[database_name]["c"].insert_many([{"_id": 0, "a": 1}, {"_id": 1}])
    updates = [Update({"_id": number}, {"$set": {"a.b": 1}}) for number in range(2)]
    target = UpdateTarget(client, Namespace(database_name, "c"), "majority")
    [refused] = write_updates(target, Updates(updates, 100))
    assert refused.update.query == {"_id": 0}
    assert mongo_client[database_name]["c"].find_one({"_id": 1}) == {"_id": 1, "a": {"b": 1}}
