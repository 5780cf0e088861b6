"""Complete databases: what is selected, and what is copied along with the documents."""

from __future__ import annotations

import re
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import encode
from pymongo.database import Database

from dataworks_tasks.errors import UnknownName, UsageError
from dataworks_tasks.migrate.collection_options import read_options
from dataworks_tasks.migrate.migration_work import MigrationWork
from dataworks_tasks.migrate.schema_comparison import compare_options
from dataworks_tasks.runs.choices import IndexPolicy
from dataworks_tasks.runs.lease import UnlimitedLease
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from producer.estimate.migration_estimate import estimate_migration
from producer.start.check_names import check_names
from producer.start.check_target_series import check_target_series
from producer.start.copy_collections import create_views, prepare_collections
from producer.start.namespace_selection import (
    NamespaceSelection,
    SelectionRequest,
    select_namespaces,
)
from tests.integration.migrate.conftest import Migration


@pytest.fixture
def database(migration: Migration) -> Database[dict[str, Any]]:
    return migration.source.database(migration.database)


def select(migration: Migration, *include: str, **changes: Any) -> NamespaceSelection:
    patterns = [f"{migration.database}.{pattern}" for pattern in include]
    return select_namespaces(migration.source, SelectionRequest(include=patterns, **changes))


def to_copy(migration: Migration) -> dict[str, Any]:
    return {"renames": [(f"{migration.database}.*", f"{migration.database}.copy_*")]}


def test_patterns_choose_and_rename(
    migration: Migration, database: Database[dict[str, Any]]
) -> None:
    for name in ("orders", "orders.old", "customers", "items"):
        database.create_collection(name)
    selection = select(
        migration,
        "*",
        exclude=[f"{migration.database}.items"],
        renames=[
            (f"{migration.database}.orders*", "archive.o*"),
            (f"{migration.database}.*", "other.*"),
        ],
    )
    assert {pair.source.collection: str(pair.target) for pair in selection.pairs} == {
        "customers": "other.customers",
        "orders": "archive.o",
        "orders.old": "archive.o.old",
    }


def test_mistakes_are_named(migration: Migration, database: Database[dict[str, Any]]) -> None:
    for name in ("orders", "customers"):
        database.create_collection(name)
    with pytest.raises(UnknownName, match=r"order'.*Did you mean .*\.orders"):
        select(migration, "order")
    with pytest.raises(UsageError, match="matches"):
        select(migration, "none*")
    with pytest.raises(UsageError, match="both go to"):
        select(migration, "*", renames=[(f"{migration.database}.*", "all.one")])
    with pytest.raises(UsageError, match=r"more \*"):
        select(migration, "orders", renames=[(f"{migration.database}.orders", "a.*")])
    buckets = [(f"{migration.database}.orders", "a.system.buckets.orders")]
    with pytest.raises(UsageError, match=r"system\.buckets\.orders belongs to the server"):
        select(migration, "orders", renames=buckets)


def test_the_name_of_a_database_has_a_length(migration: Migration) -> None:
    source = migration.namespace("orders")
    longest, longer = (
        [NamespacePair(source=source, target=Namespace(name, "orders"))]
        for name in ("x" * 63, "ü" * 32)
    )
    check_names(migration.target, longest)
    with pytest.raises(UsageError, match="the name of a database has at most 63 bytes"):
        check_names(migration.target, longer)


@pytest.mark.parametrize(
    ("include", "exclude", "said"),
    [
        ("orders", "orders", "Check --include and --exclude"),
        ("shown", "", "Views have no documents of their own"),
        ("system.views", "", "Collections of the server are not copied"),
    ],
)
def test_why_no_collection_is_left_is_said(
    migration: Migration,
    database: Database[dict[str, Any]],
    include: str,
    exclude: str,
    said: str,
) -> None:
    database.create_collection("orders")
    database.create_collection("shown", viewOn="orders", pipeline=[])
    name = f"{migration.database}.{include}"
    excluded = [f"{migration.database}.{exclude}"] if exclude else []
    with pytest.raises(UsageError, match="no collection is left to copy") as refusal:
        select(migration, include, exclude=excluded, renames=[(name, "a.b")])
    assert refusal.value.remedy.startswith(said)


def test_options_indexes_views_and_time_series_come_along(
    migration: Migration, database: Database[dict[str, Any]]
) -> None:
    migration.batch_size = 2
    database.create_collection("capped", capped=True, size=65536, max=40)
    database.capped.insert_many({"_id": 100 - n} for n in range(50))
    database.create_collection("turkish", collation={"locale": "tr", "strength": 2})
    database.turkish.insert_many({"_id": key} for key in ("I", "i", "c", "ç", "10", "9"))
    database.create_collection(
        "clustered", clusteredIndex={"key": {"_id": 1}, "unique": True}, expireAfterSeconds=10**9
    )
    database.clustered.insert_many({"_id": n} for n in range(300))
    database.create_collection("checked")
    database.checked.insert_one({"_id": 1, "old": True})
    rule = {"$jsonSchema": {"required": ["name"]}}
    database.command({"collMod": "checked", "validator": rule, "validationAction": "error"})
    database.checked.create_index("name", unique=True, sparse=True)
    database.checked.create_index([("a", 1), ("b", -1)], partialFilterExpression={"a": {"$gt": 5}})
    database.checked.create_index("at", expireAfterSeconds=3600)
    database.checked.create_index([("$**", 1)])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    database.create_collection("series", timeseries={"timeField": "t", "metaField": "m"})
    database.series.insert_many(
        {"t": start + timedelta(minutes=7 * n), "m": n % 5, "v": n} for n in range(500)
    )
    database.series.create_index("v", partialFilterExpression={"t": {"$gt": start}})
    database.create_collection("view", viewOn="checked", pipeline=[])
    selection = select(migration, "*", **to_copy(migration))
    assert [view.source.collection for view in selection.views] == ["view"]
    assert "system.views" in {namespace.collection for namespace in selection.system}
    job = MigrationJob(namespaces=selection.pairs)
    prepared = prepare_collections(migration.source, migration.target, job)
    assert all(item.created for item in prepared)
    assert not any(
        item.created for item in prepare_collections(migration.source, migration.target, job)
    )
    context = migration.context(job)
    work = MigrationWork(context)
    migration.work_through(work, context)
    work.finish(UnlimitedLease())
    create_views(migration.target, selection.views)
    for name in ("capped", "turkish", "clustered", "checked", "series", "view"):
        here = read_options(migration.source, migration.namespace(name))
        there = read_options(migration.target, migration.namespace(f"copy_{name}"))
        if name == "view":
            assert here == {"viewOn": "checked", "pipeline": []}
            here = {"viewOn": "copy_checked", "pipeline": []}
        assert here == there
        order = {"capped": "$natural", "series": "t"}.get(name, "_id")
        found, copied = (
            list(database[shown].find().sort(order, 1)) for shown in (name, f"copy_{name}")
        )
        assert found == copied
        assert found
    assert database.copy_checked.index_information() == database.checked.index_information()
    assert database.copy_series.index_information() == database.series.index_information()


@pytest.mark.parametrize(
    ("there", "differing"),
    [
        ({"timeField": "t"}, "metaField"),
        ({"timeField": "t", "metaField": "other"}, "metaField"),
        ({"timeField": "at", "metaField": "m"}, "timeField"),
        (
            {"timeField": "t", "metaField": "m", "granularity": "hours"},
            "bucketMaxSpanSeconds and granularity",
        ),
        ({"timeField": "t", "metaField": "m"}, ""),
    ],
)
def test_a_time_series_with_other_options_is_no_target(
    migration: Migration,
    database: Database[dict[str, Any]],
    there: dict[str, str],
    differing: str,
) -> None:
    here = {"timeField": "t", "metaField": "m"}
    database.create_collection("series", timeseries=here)
    database.create_collection("copy_series", timeseries=there)
    pairs = select(migration, "series", **to_copy(migration)).pairs
    message = f"copy_series exists with another {differing} than {database.name}.series"
    with pytest.raises(UsageError, match=message) if differing else nullcontext():
        check_target_series(migration.source, migration.target, pairs)
    database.drop_collection("copy_series")
    check_target_series(migration.source, migration.target, pairs)


def test_a_time_series_with_one_more_field_is_different(
    migration: Migration, database: Database[dict[str, Any]]
) -> None:
    database.create_collection("series", timeseries={"timeField": "t"})
    there = {"timeField": "t", "metaField": "m"}
    database.create_collection("copy_series", timeseries=there)
    job = MigrationJob(namespaces=select(migration, "series", **to_copy(migration)).pairs)
    notes = compare_options(migration.source, migration.target, job)
    assert next(note.text for note in notes if note.attention).startswith("timeseries is ")


def test_a_unique_index_that_fails_names_the_key(
    migration: Migration, database: Database[dict[str, Any]]
) -> None:
    database.source.create_index("email", unique=True)
    database.source.insert_one({"_id": 1, "email": "a@example.com"})
    database.target.insert_one({"_id": 2, "email": "a@example.com"})
    context = migration.context(migration.job())
    migration.work_through(MigrationWork(context), context)
    notes = context.ledger.progress(context.spec.run_id).notes
    (note,) = [note for note in notes if note.attention]
    assert note.attention
    assert re.search(r"email_1.*a@example.com", note.text)


@pytest.mark.parametrize("policy", list(IndexPolicy))
def test_indexes_come_when_asked(
    migration: Migration, database: Database[dict[str, Any]], policy: IndexPolicy
) -> None:
    database.source.create_index("a")
    job = migration.job(indexes=policy)
    prepare_collections(migration.source, migration.target, job)
    assert ("a_1" in database.target.index_information()) == (policy is IndexPolicy.BEFORE)
    migration.copy(job)
    assert ("a_1" in database.target.index_information()) == (policy is not IndexPolicy.NONE)


def test_the_dry_run_says_what_would_happen(migration: Migration) -> None:
    documents = [encode({"_id": n, "v": "x" * 50}) for n in range(1000)]
    migration.insert_raw("source", documents)
    migration.insert_raw("target", [encode({"_id": n, "v": "y"}) for n in range(100)])
    collection = migration.source.collection(migration.namespace("source"))
    collection.create_index("v")
    estimate = estimate_migration(migration.source, migration.target, migration.job(), 300)
    (item,) = estimate.namespaces
    assert (estimate.documents, estimate.slices, item.indexes) == (1000, 4, ("v_1",))
    assert estimate.bytes == sum(map(len, documents))
    assert (item.target_documents, item.conflicts) == (100, 100)
    assert 0 < estimate.seconds < 10
    assert len(migration.documents("target")) == 100
