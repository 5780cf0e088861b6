"""Targets that do not keep an ``_id`` unique, and what ``--drop`` makes of a collection."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pymongo
import pytest
from bson import encode

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationJob, GenerationPart
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_client import create_database_client
from dataworks_tasks.store.unique_ids import why_ids_repeat
from dataworks_tasks.verify.comparison import compare
from dataworks_tasks.verify.field_order import with_sorted_fields
from producer.start.check_unique_ids import check_unique_ids, check_writable, with_repeating_ids
from producer.start.dropped_collection import describe_collection

SERIES = {"timeField": "at", "metaField": "device", "granularity": "seconds"}


@pytest.fixture
def target(mongodb_url: str) -> Iterator[BaseDatabaseClient]:
    config = DatabaseConfig.model_validate({"connection_string": mongodb_url})
    with create_database_client(config) as client:
        client.warm_up()
        yield client


@pytest.fixture
def database(
    mongo_client: pymongo.MongoClient[dict[str, Any]], database_name: str
) -> Iterator[pymongo.database.Database[dict[str, Any]]]:
    """Yield a database with one collection of each kind, and one in ``local`` without an index."""
    found = mongo_client[database_name]
    found.create_collection("series", timeseries=SERIES)
    found.create_collection("plain")
    found.create_collection("capped", capped=True, size=1_000_000, max=500)
    found.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True})
    found.create_collection("collated", collation={"locale": "en", "strength": 2})
    found.create_collection("validated", validator={"n": {"$gte": 0}}, validationAction="warn")
    found.create_collection("view", viewOn="plain", pipeline=[])
    mongo_client["local"].command({"create": f"{database_name}.loose", "autoIndexId": False})
    yield found
    mongo_client["local"].drop_collection(f"{database_name}.loose")


KINDS = ["plain", "capped", "clustered", "collated", "validated"]


def test_what_keeps_an_id_unique_is_known(
    target: BaseDatabaseClient, database: pymongo.database.Database[dict[str, Any]]
) -> None:
    def why(name: str) -> str | None:
        return why_ids_repeat(target, Namespace(database.name, name))

    assert [why(name) for name in [*KINDS, "not there", "system.buckets.series"]] == [None] * 7
    assert why("series") == "is a time series, which does not keep an _id unique"
    loose = Namespace("local", f"{database.name}.loose")
    assert why_ids_repeat(target, loose) == "has no unique index on _id"


@pytest.mark.situation(
    7,
    "generation into a collection of `local` and other targets without a unique `_id`",
    before="documents twice, `complete`, exit 0",
    now="refused, exit 2",
)
def test_a_target_that_repeats_ids_is_refused_before_anything_is_written(
    target: BaseDatabaseClient, database: pymongo.database.Database[dict[str, Any]]
) -> None:
    series = Namespace(database.name, "series")
    loose = Namespace("local", f"{database.name}.loose")
    job = generation(series)
    for namespace in (series, loose):
        with pytest.raises(UsageError, match="written again after a crash would be duplicated"):
            check_unique_ids(target, [namespace])
        with pytest.raises(UsageError, match="add --allow-duplicates"):
            with_repeating_ids(target, generation(namespace), allowed=False)
    assert with_repeating_ids(target, job, allowed=True).parts[0].unique_ids is False
    plain = generation(Namespace(database.name, "plain"))
    assert with_repeating_ids(target, plain, allowed=False) == plain


def generation(namespace: Namespace) -> GenerationJob:
    part = GenerationPart(namespace=namespace, position=0, first=0, count=10)
    return GenerationJob(name="test", seed=7, parts=(part,), probe_digest="-")


def test_a_view_is_refused(
    target: BaseDatabaseClient, database: pymongo.database.Database[dict[str, Any]]
) -> None:
    with pytest.raises(UsageError, match="is a view of plain: nothing can be written to it"):
        check_writable(target, [Namespace(database.name, "view")])
    with pytest.raises(UsageError, match="belongs to the server"):
        check_writable(target, [Namespace(database.name, "system.js")])
    check_writable(target, [Namespace(database.name, name) for name in KINDS])


@pytest.mark.situation(
    7,
    "`--drop` of a time series, capped, clustered or collated collection",
    before="an ordinary collection in its place",
    now="the same kind of collection, or a line that says what is lost",
)
@pytest.mark.parametrize("name", ["series", *KINDS[1:]])
def test_a_dropped_collection_comes_back_as_what_it_was(
    target: BaseDatabaseClient, database: pymongo.database.Database[dict[str, Any]], name: str
) -> None:
    before = options(database, name)
    database[name].insert_one({"_id": 1, "n": 1, "at": datetime.now(UTC), "device": "a"})
    namespace = Namespace(database.name, name)
    dropped = describe_collection(target, namespace, laid_out=False)
    target.drop(namespace)
    assert name not in database.list_collection_names()
    assert dropped is not None
    dropped.create(target)
    assert options(database, name) == before
    assert database[name].count_documents({}) == 0


def options(database: pymongo.database.Database[dict[str, Any]], name: str) -> object:
    found = list(database.list_collections(filter={"name": name}))
    return [(item["type"], item["options"]) for item in found]


def test_what_a_layout_of_the_run_takes_away_is_logged(
    target: BaseDatabaseClient,
    database: pymongo.database.Database[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        namespace = Namespace(database.name, "capped")
        assert describe_collection(target, namespace, laid_out=True) is None
    assert "capped had capped, size, max: the run creates it again with its own" in caplog.text


def test_documents_of_a_time_series_compare_without_field_order(
    target: BaseDatabaseClient, database: pymongo.database.Database[dict[str, Any]]
) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    made = [
        {
            "_id": n,
            "z": n,
            "device": {"room": 1, "id": n % 2},
            "list": [{"y": 1, "x": 2}],
            "a": {"q": 1, "b": 2},
            "at": moment,
        }
        for n in range(20)
    ]
    database["series"].insert_many(made)
    expected = EncodedBatch.of(map(encode, made))
    found = EncodedBatch.parse(b"".join(target.find_raw(Namespace(database.name, "series"), {})))
    assert compare(expected, found).equal < 20
    assert compare(with_sorted_fields(expected), with_sorted_fields(found)).equal == 20
    twice = EncodedBatch.of([*found.documents(), found.document(0)])
    compared = compare(with_sorted_fields(expected), with_sorted_fields(twice))
    assert (compared.equal, len(compared.extra)) == (20, 1)
