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
    monkeypatch.setattr("dataworks_tasks.migrate.migration_work.document_change", lambda *_: change)
    return change


def until_done(migration: Migration, context: RunContext) -> int:
    """Do the run as a fleet would whose workers die; returns how many died."""
    run_id, ledger = context.spec.run_id, context.ledger
    deaths: dict[int, int] = {}
    died = 0
    while gaps := list(ledger.gaps(run_id)):
        number = gaps[0].start
        work = MigrationWork(context)
        before = ledger.progress(run_id).counters.get("read", 0)
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
            recorded = ledger.progress(run_id).counters.get("read", 0) > before
            deaths[number] = 1 + (0 if recorded else deaths.get(number, 0))
            assert died < 200
        finally:
            work.close()
    return died


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
