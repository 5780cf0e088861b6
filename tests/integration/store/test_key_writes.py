"""Writing the keys of a window: in one transaction, behind a fence, whatever the keys are."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import bson
import pymongo
import pytest
from bson import Binary, DBRef, Int64, MaxKey, MinKey, ObjectId
from bson.code import Code
from bson.decimal128 import Decimal128
from pymongo.errors import OperationFailure

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store import key_writes, write_fence
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_client import create_database_client
from dataworks_tasks.store.key_writes import KeyWrite, KeyWriteOptions, send_key_writes
from dataworks_tasks.store.write_fence import TRANSACTION_TOO_OLD, WriteFence, fenced_transaction
from dataworks_tasks.sync.wanted import key_bytes
from tests.integration.sync.writers import raw_documents

KEYS: list[Any] = [
    *range(12),
    2.5,
    Int64(2**40),
    Decimal128("1e3"),
    "text",
    "$text",
    {"a": 1},
    {"a": "$b"},
    DBRef("c", 1),
    {},
    ObjectId(),
    Binary(b"x"),
    Code("f"),
    None,
    False,
    MinKey(),
    MaxKey(),
    float("nan"),
]


@pytest.fixture
def target(replica_set_url: str) -> Iterator[tuple[BaseDatabaseClient, Namespace]]:
    config = DatabaseConfig.model_validate({"connection_string": replica_set_url})
    namespace = Namespace(f"test_{uuid.uuid4().hex[:12]}", "orders")
    with create_database_client(config) as client:
        client.server_info()
        assert client.capabilities.transactions
        yield client, namespace
        client.mongo.drop_database(namespace.database)


def options(namespace: Namespace, claim: int) -> KeyWriteOptions:
    session = uuid.uuid5(uuid.NAMESPACE_OID, str(namespace)).bytes
    return KeyWriteOptions("majority", WriteFence(session, claim), 10_000)


def writes(*documents: dict[str, Any]) -> list[KeyWrite]:
    encoded = [bson.encode(document) for document in documents]
    return [KeyWrite(key(document), document) for document in encoded]


def key(document: bytes) -> bytes:
    return key_bytes(document)


def stored(target: tuple[BaseDatabaseClient, Namespace]) -> list[bytes]:
    client, namespace = target
    mongo: pymongo.MongoClient[dict[str, Any]] = client.mongo
    return raw_documents(mongo, namespace.database, namespace.collection)


def test_keys_of_every_type_are_replaced_and_deleted(
    target: tuple[BaseDatabaseClient, Namespace],
) -> None:
    client, namespace = target
    first = [{"_id": each, "n": 1} for each in KEYS]
    second = [{"_id": each, "n": 2} for each in KEYS]
    for claim, documents in enumerate((first, second), 1):
        outcome = send_key_writes(client, namespace, writes(*documents), options(namespace, claim))
        assert not outcome.again
        assert not outcome.problems
        assert sorted(stored(target)) == sorted(map(bson.encode, documents))
    gone = [KeyWrite(write.key, None) for write in writes(*second)]
    assert not send_key_writes(client, namespace, gone, options(namespace, 3)).again
    assert stored(target) == []


def test_the_writes_of_a_window_are_one_transaction(
    target: tuple[BaseDatabaseClient, Namespace],
) -> None:
    client, namespace = target
    client.command(namespace.database, {"create": namespace.collection})
    documents = [{"_id": number} for number in range(100)]
    send_key_writes(client, namespace, writes(*documents), options(namespace, 1))
    oplog = client.mongo["local"]["oplog.rs"]
    where = {"o.applyOps.ns": str(namespace)}
    assert [len(each["o"]["applyOps"]) for each in oplog.find(where)] == [100]


def test_a_write_that_is_refused_leaves_the_others(
    target: tuple[BaseDatabaseClient, Namespace],
) -> None:
    client, namespace = target
    client.collection(namespace).create_index("n", unique=True)
    documents = [{"_id": number, "n": max(number, 1)} for number in range(20)]
    outcome = send_key_writes(client, namespace, writes(*documents), options(namespace, 1))
    assert list(outcome.problems) == [1]
    assert outcome.problems[1].is_duplicate
    expected = [bson.encode(each) for each in documents if each["_id"] != 1]
    assert sorted(stored(target)) == sorted(expected)


@pytest.mark.parametrize("count", [1, 20])
def test_an_earlier_holder_writes_nothing_more(
    target: tuple[BaseDatabaseClient, Namespace], count: int
) -> None:
    client, namespace = target
    old = writes(*({"_id": number, "by": "old"} for number in range(count)))
    new = writes(*({"_id": number, "by": "new"} for number in range(count)))
    assert not send_key_writes(client, namespace, new, options(namespace, 8)).again
    assert send_key_writes(client, namespace, old, options(namespace, 7)).is_fenced_off
    assert [bson.decode(each)["by"] for each in stored(target)] == ["new"] * count


def test_a_commit_that_arrives_late_changes_nothing(
    target: tuple[BaseDatabaseClient, Namespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process stood still between the write and the commit; the next holder did not wait."""
    client, namespace = target
    old = writes(*({"_id": number, "by": "old"} for number in range(20)))
    new = writes(*({"_id": number, "by": "new"} for number in range(20)))
    began = time.monotonic()

    def meanwhile(place: str) -> None:
        if place == "reconcile-commit.before":
            monkeypatch.setattr(write_fence, "failpoint", lambda _place: None)
            assert not send_key_writes(client, namespace, new, options(namespace, 8)).again

    monkeypatch.setattr(write_fence, "failpoint", meanwhile)
    outcome = send_key_writes(client, namespace, old, options(namespace, 7))
    assert outcome.is_fenced_off
    assert [bson.decode(each)["by"] for each in stored(target)] == ["new"] * 20
    assert time.monotonic() - began < 10  # it did not wait for the open transaction's end


def test_a_transaction_that_the_server_lost_is_written_all_the_same(
    target: tuple[BaseDatabaseClient, Namespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failover between the write and the commit ends the transaction only."""
    client, namespace = target
    some = writes(*({"_id": number} for number in range(20)))

    def fail_over(_place: str) -> None:
        client.mongo.admin.command({"killAllSessions": []})

    monkeypatch.setattr(write_fence, "failpoint", fail_over)
    assert not send_key_writes(client, namespace, some, options(namespace, 1)).again
    assert len(stored(target)) == 20


def test_a_transaction_of_an_earlier_claim_is_refused(
    target: tuple[BaseDatabaseClient, Namespace],
) -> None:
    client, namespace = target
    some = writes(*({"_id": number} for number in range(20)))
    send_key_writes(client, namespace, some, options(namespace, 8))
    statements = [key_writes._statement(write) for write in some]
    old = options(namespace, 7)
    command = key_writes._command(namespace, "update", statements, old)
    assert old.fence is not None
    with pytest.raises(OperationFailure) as refused:
        fenced_transaction(client, namespace.database, command, old.fence)
    assert refused.value.code == TRANSACTION_TOO_OLD
