"""Readers of changes on simulated accounts: positions, throttling, drops, lost history."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.sync.change_reader import HistoryLost
from dataworks_tasks.sync.open_changes import Changes, Followed, open_changes
from producer.cosmos_simulator.config import FaultDials, Service
from tests.integration.cosmos.conftest import Connect, StartSimulator

DIALS = FaultDials(throttle_share=0.3, cursor_cut_share=0.2, drop_after_share=0.1, seed=3)


@pytest.fixture
def names(mongodb_url: str) -> Iterator[tuple[NamespacePair, ...]]:
    """Two collections in a database of their own."""
    database = f"test_{uuid.uuid4().hex[:12]}"
    yield tuple(
        NamespacePair(source=Namespace(database, name), target=Namespace("copy", name))
        for name in ("orders", "people")
    )
    with pymongo.MongoClient[dict[str, Any]](mongodb_url) as client:
        client.drop_database(database)


def followed(client: BaseDatabaseClient, names: tuple[NamespacePair, ...]) -> Followed:
    return Followed(client, names, None, time.time)


def keys_of(changes: Changes, expected: int) -> set[tuple[int, Any]]:
    """Read until so many keys were seen, or nothing came any more."""
    found: set[tuple[int, Any]] = set()
    until = time.monotonic() + 20
    while len(found) < expected and time.monotonic() < until:
        captured = changes.read(1000, 0.5)
        found |= {(pair, key.value) for (pair, _), key in captured.keys.items()}
    return found


@pytest.mark.parametrize("dials", [FaultDials(), DIALS], ids=["quiet", "faults"])
def test_an_account_is_read_from_where_it_was_left(
    start_simulator: StartSimulator,
    connect: Connect,
    names: tuple[NamespacePair, ...],
    dials: FaultDials,
) -> None:
    account = start_simulator(change_streams=True, faults=dials)
    client = connect(account.url)
    database = client.mongo[names[0].source.database]
    plain = start_simulator().url
    with pymongo.MongoClient[dict[str, Any]](plain) as setup:
        for pair in names:
            setup[database.name][pair.source.collection].insert_one({"_id": -1})
    with open_changes(followed(client, names)) as changes:
        token = changes.read(1, 0).token
    for pair in names:
        _insert(database[pair.source.collection], range(120))
    with open_changes(followed(client, names), token) as changes:
        assert len(keys_of(changes, 100)) >= 100
        later = changes.read(1, 0).token
    with open_changes(followed(client, names), later) as changes:
        assert len(changes.read(1000, 0.5).keys) <= 140, "it does not begin again"
    # What was read before and after is all of it, whatever was cut.
    with open_changes(followed(client, names), token) as changes:
        assert len(keys_of(changes, 240)) == 240


def _insert(collection: Any, ids: range) -> None:
    for number in ids:
        while True:
            try:
                collection.replace_one({"_id": number}, {"_id": number}, upsert=True)
                break
            except (pymongo.errors.AutoReconnect, pymongo.errors.OperationFailure):
                continue  # a fault of the simulator


def test_a_dropped_collection_is_named_and_its_tokens_end(
    start_simulator: StartSimulator, connect: Connect, names: tuple[NamespacePair, ...]
) -> None:
    client = connect(start_simulator(change_streams=True).url)
    database = client.mongo[names[0].source.database]
    for pair in names:
        database[pair.source.collection].insert_one({"_id": 1})
    with open_changes(followed(client, names)) as changes:
        token = changes.read(1, 0).token
        database.orders.drop()
        captured = changes.read(1000, 1.0)
        assert captured.ddl is not None
        assert (captured.ddl.operation, captured.ddl.pairs) == ("drop", (0,))
        database.people.insert_one({"_id": 2})
        assert keys_of(changes, 1), "the others are followed"
    database.orders.insert_one({"_id": 3})
    with (
        open_changes(followed(client, names), token) as changes,
        pytest.raises(HistoryLost, match="Rid mismatch"),
    ):
        changes.read(1000, 1.0)


def test_documentdb_has_deletions_and_forgets_its_history(
    start_simulator: StartSimulator, connect: Connect, names: tuple[NamespacePair, ...]
) -> None:
    service = {"service": Service.AZURE_DOCUMENTDB, "change_history_bytes": 20_000}
    client = connect(start_simulator(change_streams=True, **service).url)
    orders = client.mongo[names[0].source.database].orders
    orders.insert_one({"_id": 1})
    with open_changes(followed(client, names)) as changes:
        token = changes.read(1, 0).token
        orders.delete_one({"_id": 1})
        assert len(keys_of(changes, 1)) == 1
        # Much more than the history holds, but never unread: nothing is lost.
        for first in range(0, 200, 10):
            orders.insert_many([{"_id": n, "text": "x" * 500} for n in range(first, first + 10)])
            assert len(keys_of(changes, 10)) == 10
    with (
        open_changes(followed(client, names), token) as changes,
        pytest.raises(HistoryLost, match="Expired resume token"),
    ):
        changes.read(1000, 1.0)
