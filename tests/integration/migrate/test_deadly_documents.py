"""Documents that kill every worker are found one by one; all others are copied and counted once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bson import decode
from pymongo.database import Database

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import RunFailed
from dataworks_tasks.migrate.document_change import Changed, unchanged
from dataworks_tasks.migrate.migration_work import MigrationWork
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.choices import OnError
from dataworks_tasks.runs.lease import UnlimitedLease
from dataworks_tasks.runs.spec import VerificationJob
from dataworks_tasks.verify.migration import MigrationVerificationWork
from tests.integration.migrate.conftest import Migration
from tests.integration.migrate.test_copy import by_date, by_id, in_insertion_order

Fill = Callable[[Database[dict[str, Any]]], dict[str, Any]]


class WorkerKilled(BaseException):
    """Nothing in the worker sees it coming."""


class Deadly:
    """A change of documents that kills the worker at some ``_id``s."""

    def __init__(self, ids: set[int]) -> None:
        self.ids = ids
        self.most_at_once = 0

    def __call__(self, batch: EncodedBatch) -> Changed:
        found = [decode(document)["_id"] for document in batch.documents()]
        if self.ids.intersection(found):
            raise WorkerKilled
        self.most_at_once = max(self.most_at_once, len(found))
        return unchanged(batch)


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> Deadly:
    change = Deadly(set())
    for module in ("migrate.migration_work", "verify.migration"):
        monkeypatch.setattr(f"dataworks_tasks.{module}.document_change", lambda *_: change)
    return change


Work = type[MigrationWork] | type[MigrationVerificationWork]


def until_done(migration: Migration, context: RunContext, kind: Work = MigrationWork) -> int:
    """Do the run as a fleet would whose workers die; returns how many died."""
    run_id, ledger = context.spec.run_id, context.ledger
    deaths: dict[int, int] = {}
    died = 0
    while gaps := list(ledger.gaps(run_id)):
        number = gaps[0].start
        work = kind(context)
        before = _recorded(context)
        try:
            part = work.isolate(number, deaths.get(number, 0)) if deaths.get(number) else None
            if part is not None:
                part.record(ledger, run_id)
                deaths[number] = 0
            else:
                migration.run(work, context)
        except WorkerKilled:
            died += 1
            # A checkpoint forgets the deaths before it.
            recorded = _recorded(context) > before
            deaths[number] = 1 + (0 if recorded else deaths.get(number, 0))
            assert died < 200
        finally:
            work.close()
    return died


def _recorded(context: RunContext) -> int:
    counters = context.ledger.progress(context.spec.run_id).counters
    return counters.get("read", 0) + counters.get("documents", 0)


@pytest.mark.parametrize("fill", [by_id, by_date, in_insertion_order])
@pytest.mark.parametrize(
    "places", [{700}, {0, 1399}, {500, 501, 502, 517}, {300, 900}], ids=lambda places: f"{places}"
)
def test_deadly_documents_are_left_out_and_nothing_else(
    migration: Migration, deadly: Deadly, fill: Fill, places: set[int]
) -> None:
    migration.batch_size = 10_000
    database = migration.source.database(migration.database)
    context = migration.context(migration.job(**fill(database)))
    ids = [document["_id"] for document in database.source.find()]
    # Reading cannot continue between documents of one date: all of them are given up together.
    together = 70 if fill is by_date else 1
    deadly.ids = {ids[place] for place in places}
    died = until_done(migration, context)
    lost = {number for place in places for number in ids[place // together * together :][:together]}
    failures = list(context.ledger.failures(context.spec.run_id))
    assert {int(failure.document_id) for failure in failures} == lost
    copied = {one["_id"] for one in database.target.find()}
    assert copied - lost == set(ids) - lost
    assert not copied & deadly.ids
    assert together > 1 or not copied & lost
    counters = context.ledger.progress(context.spec.run_id).counters
    assert (counters["read"], counters["documents"]) == (len(ids), len(ids) - len(lost))
    assert died <= 8 * len(places)


@pytest.mark.parametrize("fill", [by_id, by_date, in_insertion_order])
@pytest.mark.parametrize("places", [{700}, {0, 1399}, {500, 501}], ids=lambda places: f"{places}")
def test_a_verification_names_deadly_documents_and_compares_all_others(
    migration: Migration, deadly: Deadly, fill: Fill, places: set[int]
) -> None:
    migration.batch_size = 10_000
    database = migration.source.database(migration.database)
    job = migration.job(**fill(database))
    ids = [document["_id"] for document in database.source.find()]
    together = 70 if fill is by_date else 1
    migration.copy(job)
    database.target.delete_one({"_id": ids[20]})
    database.target.update_one({"_id": ids[1380]}, {"$set": {"changed": 1}})
    deadly.ids = {ids[place] for place in places}
    # Right before the first deadly document, so within what is given up with it.
    database.target.insert_one({"_id": ids[min(places)] - 0.5})
    context = migration.context(VerificationJob(run_id="-", of=job, exclusive=True))
    died = until_done(migration, context, MigrationVerificationWork)
    work = MigrationVerificationWork(context)
    assert work.finish(UnlimitedLease())
    work.close()
    lost = {number for place in places for number in ids[place // together * together :][:together]}
    failures = {
        each.document_id: each.reason for each in context.ledger.failures(context.spec.run_id)
    }
    named = {int(name) for name, reason in failures.items() if "not compared" in reason}
    assert named == lost
    counters = context.ledger.progress(context.spec.run_id).counters
    others = {ids[20]: "missing at the target", ids[1380]: "differs"}
    for name, reason in others.items():
        assert name in lost or reason in failures[str(name)]
    assert len(failures) == len(lost | others.keys()) + 1, "the document that is too much"
    assert counters["equal"] == len(ids) - len(lost | others.keys())
    assert died <= 8 * len(places)


def test_a_slice_that_lost_its_workers_by_accident_is_read_fast_again(
    migration: Migration, deadly: Deadly
) -> None:
    migration.batch_size = 10_000
    database = migration.source.database(migration.database)
    database.source.insert_many({"_id": number} for number in range(1400))
    context = migration.context(migration.job())
    work = MigrationWork(context)
    for _ in range(3):
        part = work.isolate(0, 2)
        assert part is not None
        part.record(context.ledger, context.spec.run_id)
    assert work.isolate(0, 2) is None, "two deaths are not enough to give a document up"
    migration.run(work, context)
    work.close()
    assert not list(context.ledger.gaps(context.spec.run_id))
    assert deadly.most_at_once > 256
    assert context.ledger.progress(context.spec.run_id).counters["written"] == 1400


def test_a_run_that_stops_at_failures_stops_at_a_deadly_document(
    migration: Migration, deadly: Deadly
) -> None:
    migration.spec_changes = {"on_error": OnError.STOP}
    database = migration.source.database(migration.database)
    database.source.insert_many({"_id": number} for number in range(50))
    deadly.ids = {7}
    context = migration.context(migration.job())
    with pytest.raises(RunFailed, match="document 7 of"):
        until_done(migration, context)
    (failure,) = context.ledger.failures(context.spec.run_id)
    assert failure.document_id == "7"
