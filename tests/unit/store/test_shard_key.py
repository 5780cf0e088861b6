"""What names a document: its ``_id``, or its ``_id`` and shard key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bson
import pytest

from dataworks_tasks.runs.choices import OnConflict
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.capabilities import Capabilities
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.conflicts import resolve_duplicates

NAMESPACE = Namespace("shop", "orders")


class Mongos(BaseDatabaseClient):
    """A router of a sharded MongoDB with this key, and these documents."""

    def __init__(self, key: Mapping[str, Any] | None, *documents: Mapping[str, Any]) -> None:
        super().__init__(DatabaseConfig.model_validate({"connection_string": "mongodb://none"}))
        self._capabilities = Capabilities().reported({"msg": "isdbgrid"})
        self._key = key
        self._documents = [bson.encode(document) for document in documents]

    def command(self, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        assert (database, command["filter"]) == ("config", {"_id": "shop.orders"})
        return {"cursor": {"firstBatch": [{"key": self._key}] if self._key else []}}

    def find_all(self, namespace: Namespace, query: Mapping[str, Any]) -> list[bytes]:
        return self._documents


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, ()),
        ({"_id": "hashed"}, ()),
        ({"_id": 1}, ()),
        ({"customer": "hashed"}, ("customer",)),
        ({"region": 1, "customer.number": 1}, ("region", "customer.number")),
        ({"_id": 1, "region": 1}, ("_id", "region")),
    ],
)
def test_ids_are_shared_where_the_shard_key_is_another_field(
    key: Mapping[str, Any] | None, expected: tuple[str, ...]
) -> None:
    assert Mongos(key).shared_id_key(NAMESPACE) == expected


def test_a_duplicate_is_compared_with_the_document_of_the_same_compound_key() -> None:
    here = {"_id": 1, "region": "eu", "customer": 1}
    there = {"_id": 1, "region": "eu", "customer": 2}
    client = Mongos({"region": 1, "customer": 1}, there, here)
    found = resolve_duplicates(
        client, NAMESPACE, [bson.encode(here), bson.encode(there)], OnConflict.FAIL, "1"
    )
    assert (found.already_there, found.refused) == (2, {})
