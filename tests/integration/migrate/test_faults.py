"""Reading and writing continue through faults, without losing or duplicating a document."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from bson import Timestamp, decode, encode
from pydantic import SecretStr

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import StoreUnavailable, Throttled, UsageError
from dataworks_tasks.migrate.migration_work import MigrationWork
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.create_client import create_database_client
from dataworks_tasks.store.mongodb import MongoDBClient
from dataworks_tasks.store.write_outcome import WriteOutcome
from producer.start.resume_field import check_resume_field
from tests.integration.migrate.conftest import Migration
from tests.integration.migrate.corpus import documents


class CutsCursors(MongoDBClient):
    """Every cursor breaks after its first batch, in one of three ways."""

    cuts = 0

    def find_raw(
        self, namespace: Namespace, query: Mapping[str, Any], **options: Any
    ) -> Iterator[bytes]:
        for number, data in enumerate(super().find_raw(namespace, query, **options)):
            if number == 1:
                self.cuts += 1
                if self.cuts % 3 == 0:
                    raise Throttled("slow down", "", 0.001)
                raise StoreUnavailable("cursor id 5 not found")
            yield data


@pytest.mark.parametrize("strategy", ["default", "date-based:n"])
def test_reading_continues_by_key_after_a_cut_cursor(migration: Migration, strategy: str) -> None:
    migration.insert_raw("source", list(documents())[:90])
    source = CutsCursors(migration.source.config)
    batch_size = 7 if strategy == "default" else 40
    migration.config = migration.config.model_copy(update={"source_db_batch_size": batch_size})
    migration.source.collection(migration.namespace("source")).create_index("n")
    migration.batch_size = 50
    plain = migration.context(migration.job(strategy=strategy))
    context = replace(plain, source=source)
    if strategy == "default":
        counters = migration.work_through(MigrationWork(context), context)
        assert (counters["read"], counters["written"]) == (90, 90)
        assert source.cuts > 5
    else:
        # Keys that are not unique: the slice begins again, and gives up for now.
        with pytest.raises(StoreUnavailable):
            migration.work_through(MigrationWork(context), context)
        counters = migration.work_through(MigrationWork(plain), plain)
        assert counters["documents"] == 90
    assert migration.documents("target") == migration.documents("source")
    source.close()


class Throttles(MongoDBClient):
    """Takes every fifth document of a write and asks for a pause for the others."""

    refused = 0

    def insert(self, namespace: Namespace, batch: EncodedBatch, write_concern: str) -> WriteOutcome:
        taken = list(range(0, len(batch), 5))
        if len(batch) > 5:
            self.refused += 1
            super().insert(namespace, batch.select(taken), write_concern)
            others = tuple(sorted(set(range(len(batch))).difference(taken)))
            return WriteOutcome(len(taken), throttled=others, delay_seconds=0.001)
        return super().insert(namespace, batch, write_concern)


def test_throttled_writes_are_sent_again(migration: Migration) -> None:
    migration.source.collection(migration.namespace("source")).insert_many(
        {"_id": number} for number in range(500)
    )
    migration.target = Throttles(migration.target.config)
    counters = migration.copy()
    assert (counters["written"], counters["documents"]) == (500, 500)
    assert counters["throttled_requests"] > 10
    assert migration.documents("target") == migration.documents("source")
    migration.target.close()


class Refuses(MongoDBClient):
    """Answers no write after the second one."""

    writes = 0

    def insert(self, namespace: Namespace, batch: EncodedBatch, write_concern: str) -> WriteOutcome:
        self.writes += 1
        if self.writes > 2:
            raise StoreUnavailable("the database does not answer")
        return super().insert(namespace, batch, write_concern)


def test_what_was_completed_before_an_error_is_not_read_again(migration: Migration) -> None:
    migration.batch_size = 1000
    changes = {"source_db_batch_size": 100, "max_insert_workers": 1}
    migration.config = migration.config.model_copy(update=changes)
    migration.source.collection(migration.namespace("source")).insert_many(
        {"_id": number} for number in range(1000)
    )
    migration.target = refuses = Refuses(migration.target.config)
    context = migration.context(migration.job())
    work = MigrationWork(context)
    with pytest.raises(StoreUnavailable):
        migration.run(work, context)
    work.close()
    refuses.writes = -1000
    counters = migration.work_through(MigrationWork(context), context)
    assert (counters["written"], counters["already_there"]) == (1000, 0)
    refuses.close()


class RefusesTheFirst(MongoDBClient):
    """The first write fails while the second is on its way; all others succeed."""

    def __init__(self, config: DatabaseConfig) -> None:
        super().__init__(config)
        self._numbers = itertools.count()
        self._second_began = threading.Event()
        self._first_failed = threading.Event()

    def insert(self, namespace: Namespace, batch: EncodedBatch, write_concern: str) -> WriteOutcome:
        number = next(self._numbers)
        if number == 0:
            self._second_began.wait(10)
            self._first_failed.set()
            raise StoreUnavailable("the database does not answer")
        if number == 1:
            self._second_began.set()
            self._first_failed.wait(10)
        return super().insert(namespace, batch, write_concern)


def test_what_failed_is_not_passed_over_for_what_was_written_after_it(migration: Migration) -> None:
    migration.batch_size = 5000
    changes = {"source_db_batch_size": 10, "max_insert_workers": 2}
    migration.config = migration.config.model_copy(update=changes)
    migration.source.collection(migration.namespace("source")).insert_many(
        {"_id": number} for number in range(5000)
    )
    migration.target = RefusesTheFirst(migration.target.config)
    context = migration.context(migration.job())
    work = MigrationWork(context)
    with pytest.raises(StoreUnavailable):
        migration.run(work, context)
    migration.work_through(work, context)
    assert migration.documents("target") == migration.documents("source")
    migration.target.close()


def test_empty_timestamps_stay_empty(migration: Migration) -> None:
    source = migration.source.collection(migration.namespace("source"))
    source.insert_many([{"_id": number, "v": 0.0} for number in range(30)])
    for number in (3, 7):
        source.update_one({"_id": number}, {"$set": {"at": Timestamp(0, 0), "z": number}})
    counters = migration.copy()
    assert counters["written"] == 30
    assert migration.documents("target") == migration.documents("source")
    assert migration.copy()["already_there"] == 30
    assert decode(migration.documents("target")[3])["at"] == Timestamp(0, 0)


def test_a_resume_field_needs_a_complete_scalar_index(migration: Migration) -> None:
    collection = migration.source.collection(migration.namespace("source"))
    migration.insert_raw("source", [encode({"_id": 1, "day": 5, "tags": [1, 2]})])
    job = migration.job(strategy="date-based:day")
    with pytest.raises(UsageError, match="no index on 'day'"):
        check_resume_field(migration.source, job)
    collection.create_index("day", sparse=True)
    with pytest.raises(UsageError, match="every document"):
        check_resume_field(migration.source, job)
    collection.drop_index("day_1")
    collection.create_index("day")
    check_resume_field(migration.source, job)
    collection.create_index("tags")
    with pytest.raises(UsageError, match="arrays"):
        check_resume_field(migration.source, migration.job(strategy="date-based:tags"))


@pytest.mark.situation(
    15,
    "a capped source loses its oldest documents while they are read (CappedPositionLost)",
    before="`failed` at once",
    now="the slice is read again",
)
@pytest.mark.parametrize("code", [136, 175, 237, 365, 11601])
@pytest.mark.parametrize("capped", [True, False])
def test_a_cursor_that_the_server_ends_is_opened_again(
    failpoint_url: str, database_name: str, code: int, capped: bool
) -> None:
    """CappedPositionLost, QueryPlanKilled, CursorKilled, TemporarilyUnavailable, Interrupted."""
    config = DatabaseConfig(connection_string=SecretStr(failpoint_url))
    with create_database_client(config) as source, create_database_client(config) as target:
        migration = Migration(source, target, database_name)
        database = source.database(database_name)
        if capped:
            database.create_collection("source", capped=True, size=10**6)
        migration.insert_raw("source", [encode({"_id": n}) for n in range(100)])
        migration.config = migration.config.model_copy(update={"source_db_batch_size": 10})
        context = migration.context(migration.job())
        fault = {"failCommands": ["getMore"], "errorCode": code}
        fail = {"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": fault}
        source.command("admin", fail)
        counters = migration.work_through(MigrationWork(context), context)
        assert counters["read"] >= 100
        assert migration.documents("source") == migration.documents("target")
        source.mongo.drop_database(database_name)
