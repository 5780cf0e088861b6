"""Indexes at the target are those of the source; each is tried, and missing ones are named."""

from __future__ import annotations

from typing import Any

import pytest
from bson import encode
from pymongo.database import Database

from dataworks_tasks.migrate import copy_indexes as copy_indexes_module
from dataworks_tasks.migrate.copy_indexes import IndexCopy, copy_indexes
from dataworks_tasks.migrate.read_indexes import read_indexes
from producer.start.copy_collections import prepare_collections
from tests.integration.migrate.conftest import Migration


@pytest.fixture
def database(migration: Migration) -> Database[dict[str, Any]]:
    return migration.source.database(migration.database)


def copied(migration: Migration, **options: Any) -> IndexCopy:
    pair = migration.job().namespaces[0]
    return copy_indexes(migration.source, migration.target, pair, **options)


def indexes(migration: Migration, collection: str) -> dict[str, dict[str, Any]]:
    found = read_indexes(migration.source, migration.namespace(collection))
    return {index["name"]: index for index in found}


@pytest.mark.situation(
    9,
    "an index with simple collation on a collection with a default collation",
    before="it inherits the collation: other plans, E11000",
    now="built with its own collation",
)
def test_an_index_keeps_its_collation_whatever_the_collection_has(
    migration: Migration, database: Database[dict[str, Any]]
) -> None:
    database.create_collection("source", collation={"locale": "en", "strength": 2})
    simple = {"locale": "simple"}
    database.source.create_index("exact", unique=True, collation=simple)
    database.source.create_index("folded", unique=True)
    database.source.create_index("french", collation={"locale": "fr"})
    database.source.create_index([("words", "text")], collation=simple)
    database.source.create_index([("place", "2dsphere")], collation=simple)
    database.source.create_index([("flat", "2d")], collation=simple)
    database.source.create_index([("hash", "hashed")], collation=simple)
    database.source.create_index([("$**", 1)], collation=simple)
    database.source.insert_many([{"_id": n, "exact": e, "folded": n} for n, e in enumerate("aA")])
    migration.insert_raw("target", [])
    prepare_collections(migration.source, migration.target, migration.job())
    database.target.insert_many(list(database.source.find()))
    copy = copied(migration)
    assert (copy.refused, len(copy.built)) == ([], 8)
    assert indexes(migration, "target") == indexes(migration, "source")
    again = copied(migration)
    assert (again.built, len(again.present)) == ([], 8)


def test_a_target_with_a_collation_of_its_own_gets_the_sources_indexes(
    migration: Migration, database: Database[dict[str, Any]]
) -> None:
    database.source.create_index("a", unique=True)
    database.create_collection("target", collation={"locale": "en", "strength": 2})
    assert copied(migration).built == ["a_1"]
    assert indexes(migration, "target") == indexes(migration, "source")


def test_every_index_is_tried_and_those_not_built_are_named(
    migration: Migration, database: Database[dict[str, Any]]
) -> None:
    for name in ("a", "b", "c", "d"):
        database.source.create_index(name, unique=name in "bd")
    documents = [encode({"_id": n, "a": n, "b": 7, "c": n, "d": n}) for n in range(5)]
    migration.insert_raw("target", documents)
    copy = copied(migration)
    assert copy.complete
    assert sorted(copy.built) == ["a_1", "c_1", "d_1"]
    (refused,) = copy.refused
    assert (refused.namespace, refused.name) == (migration.namespace("target"), "b_1")
    assert "E11000" in refused.reason
    assert "b: 7" in refused.reason
    database.target.delete_many({"_id": {"$gt": 0}})
    assert copied(migration).built == ["b_1"]
    assert copied(migration, refused=copy.refused).built == []


@pytest.mark.situation(
    9,
    "an index of the same name with other options at the target",
    before="left, without a word",
    now="left and named, exit 4",
)
def test_another_index_of_the_same_name_is_named_and_left(
    migration: Migration, database: Database[dict[str, Any]]
) -> None:
    database.source.create_index("a", unique=True, name="key")
    database.source.create_index("b")
    database.target.create_index("a", name="key", sparse=True)
    copy = copied(migration)
    assert copy.built == ["b_1"]
    (refused,) = copy.refused
    assert "has another index of that name, which differs in sparse, unique" in refused.reason
    assert indexes(migration, "target")["key"]["sparse"]


@pytest.mark.situation(
    9, "an equivalent index under another name", before="`failed`", now="taken as present"
)
def test_the_same_index_under_another_name_is_enough(
    migration: Migration, database: Database[dict[str, Any]]
) -> None:
    database.source.create_index([("a", 1), ("b", -1)], unique=True)
    database.target.create_index([("a", 1), ("b", -1)], unique=True, name="by_hand")
    copy = copied(migration)
    assert (copy.built, copy.present, copy.refused) == ([], ["a_1_b_-1"], [])
    assert set(indexes(migration, "target")) == {"by_hand"}


@pytest.mark.situation(
    9,
    "options that servers no longer know (`safe`, `w`, `dropDups`)",
    before="`failed`",
    now="left out",
)
def test_options_of_old_servers_are_left_out(
    migration: Migration, database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    database.create_collection("source")
    old = {"key": {"a": True}, "name": "a_1", "safe": True, "w": 1, "dropDups": True, "unique": 1}
    read = read_indexes

    def read_old(client: Any, namespace: Any) -> list[dict[str, Any]]:
        return [old] if namespace.collection == "source" else read(client, namespace)

    monkeypatch.setattr(copy_indexes_module, "read_indexes", read_old)
    copy = copied(migration)
    assert (copy.built, copy.refused) == (["a_1"], [])
    assert copy.unknown == {"a_1": ("dropDups", "safe", "w")}
    assert indexes(migration, "target")["a_1"]["unique"] is True


def test_unique_indexes_come_first(
    migration: Migration, database: Database[dict[str, Any]]
) -> None:
    for name in ("a", "b", "c"):
        database.source.create_index(name, unique=name == "c")
    assert copied(migration).built == ["c_1", "a_1", "b_1"]
    unique = copied(migration, wanted=lambda index: bool(index.get("unique")))
    assert unique.present == ["c_1"]
