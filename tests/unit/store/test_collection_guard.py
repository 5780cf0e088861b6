"""How often a collection's identity is asked for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dataworks_tasks.errors import RunFailed
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store import collection_guard
from dataworks_tasks.store.collection_facts import CollectionFacts
from dataworks_tasks.store.collection_guard import CollectionGuard
from dataworks_tasks.store.mongodb import MongoDBAtlasClient

ORDERS = Namespace("shop", "orders")


def test_the_check_before_a_cursor_is_left_out_just_after_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    now, found = 100.0, "a"

    def read(_client: object, namespace: Namespace) -> CollectionFacts:
        asked.append(str(namespace))
        return CollectionFacts("collection", found, {})

    monkeypatch.setattr(collection_guard, "read_collection", read)
    monkeypatch.setattr(collection_guard, "name_of_collection", lambda *_: None)
    monkeypatch.setattr(collection_guard, "time", SimpleNamespace(monotonic=lambda: now))
    client = MongoDBAtlasClient(DatabaseConfig(connection_string="mongodb://localhost:1"))
    guard = CollectionGuard(client, "source", None, "")
    before_cursor = guard.checks(ORDERS, "a")
    before_cursor()
    before_cursor()
    assert len(asked) == 1
    guard.check(ORDERS, "a")  # at the end of a slice it is asked every time
    assert len(asked) == 2
    now, found = 100.4, "b"
    before_cursor()
    with pytest.raises(RunFailed, match="replaced by another collection"):
        guard.check(ORDERS, "a")
    now = 100.6
    with pytest.raises(RunFailed):
        before_cursor()
    assert len(asked) == 4
