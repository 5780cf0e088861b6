"""Keys whose documents kill every worker are found one by one; all others are reconciled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import fakeredis
import pytest
from bson import decode, encode

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, find_element
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.ledger.key_windows import Append
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.migrate.document_change import Changed, unchanged
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.lease import UnlimitedLease
from dataworks_tasks.runs.spec import (
    ClaimTimes,
    FollowPart,
    MigrationJob,
    RepairJob,
    RunSpec,
    StartPosition,
)
from dataworks_tasks.sync.follow_work import FollowWork
from dataworks_tasks.sync.key_window import KeyWindow, windows_of
from dataworks_tasks.sync.repair_work import RepairWork
from tests.integration.migrate.conftest import Migration

COUNT = 1500
CLAIMS = ClaimTimes(seconds=5.0, late_seconds=0.0)


class WorkerKilled(BaseException):
    """Nothing in the worker sees it coming."""


class Deadly:
    """A change of documents that kills the worker at some ``_id``s."""

    def __init__(self, ids: set[int]) -> None:
        self.ids = ids

    def __call__(self, batch: EncodedBatch) -> Changed:
        if self.ids & {decode(document)["_id"] for document in batch.documents()}:
            raise WorkerKilled
        return unchanged(batch)


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> Deadly:
    change = Deadly(set())
    for module in ("migrate.migration_work", "sync.routes"):
        monkeypatch.setattr(f"dataworks_tasks.{module}.document_change", lambda *_: change)
    return change


def keys_of(ids: Sequence[int]) -> list[Element]:
    found = [find_element(encode({"_id": number}), b"_id") for number in ids]
    return [key for key in found if key is not None]


def until_done(work: FollowWork | RepairWork, migration: Migration, context: RunContext) -> int:
    """Do the windows as a fleet would whose workers die; returns how many died."""
    run_id, ledger = context.spec.run_id, context.ledger
    deaths: dict[int, int] = {}
    died = 0
    while gaps := list(ledger.gaps(run_id)):
        number = gaps[0].start
        part = work.isolate(number, deaths[number]) if deaths.get(number) else None
        if part is not None:
            part.record(ledger, run_id)
            deaths.pop(number)
            continue
        try:
            migration.run(work, context)
        except WorkerKilled:
            died += 1
            number = next(iter(ledger.gaps(run_id))).start
            deaths[number] = deaths.get(number, 0) + 1
            assert died < 100
    return died


def repair_context(migration: Migration, job: MigrationJob, ids: Sequence[int]) -> RunContext:
    """Return the repair of a verification that listed ``ids``."""
    ledger = RedisLedger(fakeredis.FakeRedis())
    repair = RepairJob(run_id="-", of=job, verification="ver-1", delete_extra=True, claims=CLAIMS)
    spec = RunSpec(
        run_id=f"rep-{uuid4().hex}",
        created_at=datetime.now(UTC),
        batch_size=100,
        write_concern="1",
        target_fingerprint="-",
        job=repair,
    )
    listed = spec.model_copy(update={"run_id": "ver-1"})
    ledger.create(listed, 0)
    where = migration.namespace("target")
    ledger.record_failures(
        "ver-1", [document_failure(where, encode({"_id": number}), "differs") for number in ids]
    )
    ledger.create(spec, 0)
    windows = [window.to_bytes() for window in windows_of(keys_of(ids), KeyWindow(0, ()))]
    ledger.key_windows.append(spec.run_id, Append(windows, documents=len(ids)))
    return RunContext(spec, migration.config, ledger, migration.target, migration.source)


@pytest.mark.parametrize("places", [{700}, {0, 1499}, {500, 501, 517}], ids=str)
def test_a_repair_leaves_deadly_documents_out_and_nothing_else(
    migration: Migration, deadly: Deadly, places: set[int]
) -> None:
    database = migration.source.database(migration.database)
    database.source.insert_many({"_id": number, "n": number} for number in range(COUNT))
    context = repair_context(migration, migration.job(), range(COUNT))
    deadly.ids = places
    work = RepairWork(context)
    died = until_done(work, migration, context)
    assert work.finish(UnlimitedLease()), "nobody dies of the last comparison"
    failures = {
        each.document_id: each.reason for each in context.ledger.failures(context.spec.run_id)
    }
    assert failures == {str(n): "every worker that tried it died (3 of 3)" for n in places}
    copied = {one["_id"] for one in database.target.find({}, {"_id": 1})}
    assert copied == set(range(COUNT)) - places
    assert died <= 9 * len(places)


def test_a_run_that_follows_leaves_deadly_changes_out_and_nothing_else(
    migration: Migration, deadly: Deadly
) -> None:
    """One in a slice of the copy and one in a window; the first comes again as a window."""
    database = migration.source.database(migration.database)
    database.source.insert_many({"_id": number, "n": number} for number in range(COUNT))
    follow = FollowPart(
        position=StartPosition(token="", seconds=1, increment=1), nonce="00", claims=CLAIMS
    )
    context = migration.context(migration.job(follow=follow))
    deadly.ids = {300}
    work = FollowWork(context)
    until_done(work, migration, context)
    hot = context.ledger.key_windows.hot_keys(context.spec.run_id)
    assert len(hot) == 1, "reconciling decides what becomes of it"
    assert not list(context.ledger.failures(context.spec.run_id))
    database.source.update_many({"_id": {"$gte": 1000}}, {"$inc": {"n": 1}})
    deadly.ids = {300, 1234}
    first = KeyWindow(0, (), nonce=bytes(1))
    windows = [
        window.to_bytes() for window in windows_of(keys_of([300, *range(1000, COUNT)]), first)
    ]
    context.ledger.key_windows.append(context.spec.run_id, Append(windows))
    until_done(work, migration, context)
    work.close()
    found = {each.document_id: each.reason for each in context.ledger.failures(context.spec.run_id)}
    assert found.keys() == {"300", "1234"}
    left = {"$nor": [{"_id": 300}, {"_id": 1234}]}
    copied = {one["_id"]: one for one in database.target.find(left)}
    assert copied == {one["_id"]: one for one in database.source.find(left)}
