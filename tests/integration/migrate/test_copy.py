"""Copying keeps every byte, and counts the outcome of each document."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from bson import Int64
from pymongo.database import Database

from dataworks_tasks.errors import RunFailed
from dataworks_tasks.migrate.base import DefaultStrategy
from dataworks_tasks.migrate.migration_work import MigrationWork
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.choices import OnConflict, OnError
from dataworks_tasks.runs.lease import StopSignal
from dataworks_tasks.runs.spec import MigrationJob, VerificationJob
from dataworks_tasks.verify.migration import MigrationVerificationWork
from tests.integration.migrate.conftest import Migration
from tests.integration.migrate.corpus import documents


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_every_kind_of_document_arrives_identical(migration: Migration, size: int) -> None:
    migration.insert_raw("source", list(documents()))
    migration.batch_size = size
    migration.config = migration.config.model_copy(update={"source_db_batch_size": 3})
    counters = migration.copy()
    source = migration.documents("source")
    assert sorted(source) == sorted(documents())
    assert migration.documents("target") == source
    assert counters["documents"] == counters["read"] == counters["written"] == len(source)
    assert counters["bytes"] == sum(map(len, source))
    compared, failures = migration.verify()
    assert (compared["equal"], failures) == (len(source), [])


def test_copying_twice_finds_its_own_documents(migration: Migration) -> None:
    migration.insert_raw("source", list(documents())[:60])
    migration.copy()
    counters = migration.copy()
    assert counters["already_there"] == counters["documents"] == 60
    assert counters["written"] == 0


@pytest.mark.parametrize("policy", list(OnConflict))
def test_another_document_with_the_same_id(migration: Migration, policy: OnConflict) -> None:
    migration.spec_changes = {"on_error": OnError.SKIP}
    collection = migration.source.collection(migration.namespace("source"))
    collection.insert_many({"_id": number, "v": "ours"} for number in range(50))
    target = migration.target.collection(migration.namespace("target"))
    target.insert_one({"_id": 7, "v": "theirs"})
    context = migration.context(migration.job(on_conflict=policy))
    counters = migration.work_through(MigrationWork(context), context)
    failures = list(context.ledger.failures(context.spec.run_id))
    assert counters["written"] == 49
    assert counters["replaced"] == (policy is OnConflict.REPLACE)
    assert counters["skipped"] == (policy is OnConflict.SKIP)
    assert [failure.document_id for failure in failures] == (
        ["7"] if policy is OnConflict.FAIL else []
    )
    expected = "ours" if policy is OnConflict.REPLACE else "theirs"
    assert (target.find_one({"_id": 7}) or {})["v"] == expected


def test_a_failure_stops_the_run_when_asked(migration: Migration) -> None:
    migration.spec_changes = {"on_error": OnError.STOP}
    migration.source.collection(migration.namespace("source")).insert_one({"_id": 1, "v": 1})
    migration.target.collection(migration.namespace("target")).insert_one({"_id": 1, "v": 2})
    context = migration.context(migration.job())
    with pytest.raises(RunFailed, match="document 1 of"):
        migration.work_through(MigrationWork(context), context)
    (failure,) = context.ledger.failures(context.spec.run_id)
    assert failure.document_id == "1"


def by_objectid_time(database: Database[dict[str, Any]]) -> dict[str, Any]:
    """One slice for everything that is neither an ObjectId nor a string."""
    ids = [
        *range(500),
        *(number + 0.5 for number in range(400)),
        *(Int64(n) for n in range(500, 900)),
    ]
    ids += [float("nan"), None, *(datetime(2026, 1, 1) + timedelta(n) for n in range(100))]
    database.source.insert_many({"_id": id_} for id_ in ids)
    return {"partitioner": "objectid-time"}


def by_date(database: Database[dict[str, Any]]) -> dict[str, Any]:
    """Keys that many documents share."""
    start = datetime(2026, 1, 1)
    database.source.insert_many({"_id": -n, "at": start + timedelta(n // 70)} for n in range(1400))
    database.source.create_index("at")
    return {"strategy": "date-based:at"}


def in_insertion_order(database: Database[dict[str, Any]]) -> dict[str, Any]:
    for name in ("source", "target"):
        database.create_collection(name, capped=True, size=1_000_000)
    database.source.insert_many({"_id": -number} for number in range(1400))
    return {}


def by_id(database: Database[dict[str, Any]]) -> dict[str, Any]:
    database.source.insert_many({"_id": number} for number in range(1400))
    return {}


@pytest.mark.parametrize("fill", [by_id, by_objectid_time, by_date, in_insertion_order])
def test_another_process_continues_after_what_is_completed(
    migration: Migration, fill: Callable[[Database[dict[str, Any]]], dict[str, Any]]
) -> None:
    migration.batch_size = 10_000
    changes = {"source_db_batch_size": 100, "max_insert_workers": 1, "parallel_cursors": 1}
    migration.config = migration.config.model_copy(update=changes)
    database = migration.source.database(migration.database)
    job = migration.job(**fill(database))
    counters = in_pieces(migration, job, MigrationWork)
    total = database.source.count_documents({})
    assert (counters["documents"], counters["read"]) == (total, total)
    assert counters.get("already_there", 0) < 0.4 * total
    assert migration.documents("target") == migration.documents("source")
    if fill is in_insertion_order:
        assert list(database.target.find()) == list(database.source.find())
        return
    verification = VerificationJob(run_id="-", of=job, exclusive=True)
    compared = in_pieces(migration, verification, MigrationVerificationWork)
    assert (compared["documents"], compared["equal"]) == (total, total)


def _is_over(looks: Iterator[int]) -> bool:
    return next(looks, None) is None


def in_pieces(
    migration: Migration,
    job: MigrationJob | VerificationJob,
    made: Callable[[RunContext], MigrationWork | MigrationVerificationWork],
) -> Mapping[str, int]:
    """Do the work, in a new process after every few looks at the clock; the counters."""
    context = migration.context(job)
    run_id, ledger = context.spec.run_id, context.ledger
    messages = 0
    while list(ledger.gaps(run_id)):
        messages += 1
        assert messages < 50
        work, looks = made(context), iter(range(5))
        migration.run(work, context, partial(_is_over, looks))
        work.close()
    assert messages > 2
    return ledger.progress(run_id).counters


def test_acknowledged_slices_are_left_out(migration: Migration) -> None:
    migration.source.collection(migration.namespace("source")).insert_many(
        {"_id": number} for number in range(300)
    )
    context = migration.context(migration.job())
    work = MigrationWork(context)
    stop = StopSignal(time.monotonic() + 60)
    (only,) = work.run(BatchRange(1, 2), stop)
    only.record(context.ledger, context.spec.run_id)
    completed = {part.range for part in work.run(BatchRange(0, 3), stop)}
    assert completed == {BatchRange(0, 1), BatchRange(2, 3)}
    work.close()


def test_a_capped_collection_keeps_its_order(migration: Migration) -> None:
    changes = {"source_db_batch_size": 10, "max_insert_workers": 8}
    migration.config = migration.config.model_copy(update=changes)
    database = migration.source.database(migration.database)
    for name in ("source", "target"):
        database.create_collection(name, capped=True, size=1_000_000)
    database.source.insert_many({"_id": -number} for number in range(400))
    migration.copy()
    assert list(database.target.find()) == list(database.source.find())
    compared, failures = migration.verify()
    assert (compared["equal"], failures) == (400, [])


def test_the_resume_point_is_the_first_gap(migration: Migration) -> None:
    migration.source.collection(migration.namespace("source")).insert_many(
        {"_id": number} for number in range(300)
    )
    context = migration.context(migration.job())
    strategy, run_id = DefaultStrategy(), context.spec.run_id
    assert strategy.get_resume_point(context.ledger, run_id) is None
    work = MigrationWork(context)
    stop = StopSignal(time.monotonic() + 60)
    for part in work.run(BatchRange(0, 2), stop):
        part.record(context.ledger, run_id)
    assert strategy.get_resume_point(context.ledger, run_id) == 200
    migration.work_through(work, context)
    assert strategy.get_resume_point(context.ledger, run_id) is None
