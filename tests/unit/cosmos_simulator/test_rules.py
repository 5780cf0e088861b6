"""What is refused: documents, statements, indexes, operators and settings."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import SettingsError
from producer.cosmos_simulator import CosmosSimulator, FaultDials, SimulatorConfig
from producer.cosmos_simulator.document_refusals import (
    document_errors,
    json_size,
    targets_one_shard,
)
from producer.cosmos_simulator.index_errors import index_error
from producer.cosmos_simulator.refusals import request_error
from producer.cosmos_simulator.result_pages import LARGEST_PAGE_BYTES, ResultPages
from producer.cosmos_simulator.wire import (
    Command,
    decode_reply,
    encode_command,
    encode_reply,
    parse_command,
)

TWO_MEGABYTES = 2 * 1024 * 1024


def codes(
    *documents: dict[str, Any], shard_key: str | None = None, limit: int = TWO_MEGABYTES
) -> dict[int, int]:
    batch = EncodedBatch.of(bson.encode(document) for document in documents)
    found = document_errors(batch, shard_key, limit)
    return {index: entry["code"] for index, entry in found.items()}


def test_an_id_may_have_1023_bytes() -> None:
    assert codes({"_id": "x" * 1023}, {"_id": "x" * 1024}, {"_id": "é" * 512}) == {1: 2, 2: 2}
    assert codes({"_id": b"x" * 1024}, {"_id": {"a": "x" * 1020}}) == {0: 2, 1: 2}
    assert codes({"pad": "x" * 5000, "_id": "x" * 1024}) == {0: 2}
    assert codes({"_id": bson.ObjectId(), "pad": "x" * 5000}, {"pad": "x" * 5000}) == {}


def test_a_document_is_measured_as_json() -> None:
    number = {"_id": 1, "n": list(range(100_000, 300_000))}
    assert len(bson.encode(number)) > TWO_MEGABYTES > json_size(bson.encode(number))
    control = {"_id": 2, "s": "\x01" * 400_000}
    assert len(bson.encode(control)) < TWO_MEGABYTES < json_size(bson.encode(control))
    assert codes(number, control) == {1: 16}
    assert codes(control, limit=16 * 1024 * 1024) == {}


def test_a_document_must_contain_the_shard_key() -> None:
    documents = ({"a": {"b": None}}, {"a": {"c": 1}}, {"a": [{"b": 1}]}, {"a.b": 1})
    assert codes(*documents, shard_key="a.b") == {1: 61, 2: 61, 3: 61}


@pytest.mark.parametrize(
    ("query", "targets"),
    [
        ({"a.b": 1}, True),
        ({"a": {"b": 1}}, True),
        ({"a.b": {"$eq": 1}, "_id": 2}, True),
        ({"$and": [{"_id": 2}, {"a.b": 1}]}, True),
        ({"a.b": {"$gt": 1}}, False),
        ({"_id": 2}, False),
        ({}, False),
    ],
)
def test_a_query_must_target_one_shard(query: dict[str, Any], targets: bool) -> None:
    assert targets_one_shard(RawBSONDocument(bson.encode(query)), "a.b") is targets


@pytest.mark.parametrize(
    ("index", "accepted"),
    [
        ({"key": {"a": 1, "b": -1}}, True),
        ({"key": {"a": "text"}}, False),
        ({"key": {"a": "2d"}}, False),
        ({"key": {"a": "hashed"}}, False),
        ({"key": {"a": 1}, "sparse": True}, False),
        ({"key": {"a": 1}, "partialFilterExpression": {"a": {"$gt": 1}}}, False),
        ({"key": {"k": 1}, "unique": True, "partialFilterExpression": {"k": 1}}, True),
        ({"key": {"k": 1, "a": 1}, "unique": True}, True),
        ({"key": {"a": 1}, "unique": True}, False),
    ],
)
def test_indexes(index: dict[str, Any], accepted: bool) -> None:
    assert (index_error(index, "k", collection_is_empty=True) is None) is accepted


def test_a_unique_index_wants_an_empty_collection() -> None:
    unique = {"key": {"k": 1}, "unique": True}
    assert index_error(unique, None, collection_is_empty=True) is None
    assert index_error(unique, None, collection_is_empty=False) is not None


def refusal_of(command: dict[str, Any]) -> int | None:
    message = encode_command(Command(1, 0, {**command, "$db": "d"}))
    refused = request_error(parse_command(message), message)
    return refused["code"] if refused else None


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"collMod": "c"}, 115),
        ({"serverStatus": 1}, 115),
        ({"renameCollection": "d.c", "to": "d.e"}, 115),
        ({"splitVector": "d.c"}, 115),
        ({"dataSize": "d.c"}, 115),
        ({"endSessions": []}, 115),
        ({"find": "c", "min": {"_id": 1}}, 115),
        ({"find": "c", "filter": {"$and": [{"$jsonSchema": {}}]}}, 115),
        ({"create": "c", "validator": {"$jsonSchema": {}}}, 115),
        ({"aggregate": "c", "pipeline": [{"$collStats": {}}]}, 40324),
        ({"aggregate": "c", "pipeline": [{"$facet": {"x": [{"$bucketAuto": {}}]}}]}, 40324),
        ({"delete": "c", "deletes": [{"q": {"$jsonSchema": {}}, "limit": 0}]}, 115),
        ({"insert": "c", "documents": [{}], "lsid": {}, "txnNumber": Int64(1)}, 2),
        ({"insert": "c", "documents": [{"text": "$jsonSchema"}], "lsid": {}}, None),
        ({"find": "c", "filter": {"text": "$jsonSchema"}}, None),
        ({"aggregate": "c", "pipeline": [{"$match": {}}]}, None),
    ],
)
def test_refused_commands_and_operators(command: dict[str, Any], code: int | None) -> None:
    assert refusal_of(command) == code


def test_large_answers_are_cut_into_pages_and_lose_nothing() -> None:
    documents = [{"_id": number, "pad": "x" * 100_000} for number in range(120)]
    cursor = {"firstBatch": documents, "id": Int64(0), "ns": "d.c"}
    pages = ResultPages()
    page: bytes | None = pages.cut(encode_reply({"cursor": cursor, "ok": 1}, 1), 1)
    seen: list[int] = []
    while page is not None:
        assert len(page) <= LARGEST_PAGE_BYTES
        answer = decode_reply(page)["cursor"]
        batch = answer["firstBatch" if not seen else "nextBatch"]
        seen += [document["_id"] for document in batch]
        page = pages.next_page(answer["id"], 2) if answer["id"] else None
    assert seen == list(range(120))


@pytest.mark.parametrize(
    "settings",
    [{"server_version": "4.4"}, {"ru_per_second": 0.0}, {"ru_per_second": -1.0}],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        SimulatorConfig("mongodb://localhost", **settings)


@pytest.mark.parametrize(
    "dial", [{"throttle_share": 1.1}, {"latency_ms": -1.0}, {"statement_us": -1.0}]
)
def test_bad_dials_are_refused(dial: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(dial))):
        FaultDials(**dial)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", ["http://x", "mongodb://user:secret@host:1/"])
def test_a_target_is_refused_without_repeating_it(target: str) -> None:
    with pytest.raises(SettingsError) as caught:
        CosmosSimulator(SimulatorConfig(target))
    assert "secret" not in str(caught.value)
