"""Strips of a run whose slices are planned collection by collection, in turns."""

from __future__ import annotations

from datetime import UTC, datetime

import fakeredis
import pytest

from dataworks_tasks.ledger.contract import WORKING, DocumentFailure, PlanEnd, RangeResult, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import (
    GenerationJob,
    GenerationPart,
    MigrationJob,
    NamespacePair,
    RunSpec,
    VerificationJob,
)
from producer.view.range_map import Strip, read_strips
from producer.view.run_summary import summarize

TURNS = (0, 1, 2, 0, 1, 0, 0)
"""The collection of each slice."""


@pytest.fixture
def ledger() -> RedisLedger:
    return RedisLedger(fakeredis.FakeRedis())


def record(ledger: RedisLedger, *names: str, collections: tuple[int, ...] = TURNS) -> RunSpec:
    """Return a migration whose slices are planned in two groups."""
    pairs = tuple(
        NamespacePair(source=Namespace("shop", name), target=Namespace("copy", name))
        for name in names
    )
    spec = RunSpec(
        run_id="mig-20261126-120000-0001",
        created_at=datetime.now(UTC),
        batch_size=10,
        source_fingerprint="db:1",
        target_fingerprint="db:2",
        job=MigrationJob(namespaces=pairs),
    )
    ledger.create(spec, None)
    slices = [f"slice {number}".encode() for number in range(len(TURNS))]
    ledger.append_slices(spec.run_id, PlanEnd(), slices[:4], 40, {}, collections[:4])
    end = PlanEnd(4, slices[3])
    ledger.append_slices(spec.run_id, end, slices[4:], 30, {}, collections[4:])
    return spec


def strips(ledger: RedisLedger, spec: RunSpec) -> dict[str, Strip]:
    found = read_strips(ledger, spec, ledger.progress(spec.run_id))
    return {strip.name: strip for strip in found}


def cells(strip: Strip) -> list[str]:
    return [cell.value for cell in strip.cells]


def test_each_collection_has_a_strip_of_its_own(ledger: RedisLedger) -> None:
    spec = record(ledger, "orders", "people", "system.buckets.series")
    ledger.acknowledge(spec.run_id, BatchRange(0, 1), RangeResult({}))
    failure = DocumentFailure("k", "1", "copy.people", "too large")
    ledger.acknowledge(spec.run_id, BatchRange(4, 5), RangeResult({}, (failure,)))
    ledger.acknowledge(spec.run_id, BatchRange(5, 7), RangeResult({}))
    ledger.windows.open(spec.run_id, "dataworks", 1, 5)
    ledger.windows.refill(spec.run_id)
    ledger.windows.take(spec.run_id, BatchRange(1, 2), "host:1", 60)
    found = strips(ledger, spec)
    assert list(found) == ["copy.orders", "copy.people", "copy.series"]
    assert cells(found["copy.orders"]) == ["done", "missing", "done", "done"]
    assert (found["copy.orders"].size, found["copy.orders"].done) == (4, 0.75)
    assert cells(found["copy.people"]) == ["working", "failed"]
    assert cells(found["copy.series"]) == ["missing"]


def test_a_single_collection_has_its_name(ledger: RedisLedger) -> None:
    spec = record(ledger, "orders", collections=())
    ledger.acknowledge(spec.run_id, BatchRange(2, 7), RangeResult({}))
    assert cells(strips(ledger, spec)["copy.orders"]) == ["missing"] * 2 + ["done"] * 5


def test_a_plan_that_does_not_say_the_collections_is_one_strip(ledger: RedisLedger) -> None:
    """An older version planned it, or there are more collections than a page can show."""
    spec = record(ledger, "orders", "people", "series", collections=())
    assert list(strips(ledger, spec)) == ["slices"]
    ledger.forget(spec.run_id)
    spec = record(ledger, *(f"c{number}" for number in range(60)))
    assert list(strips(ledger, spec)) == ["slices"]


def test_the_end_of_a_plan_that_an_older_version_began_is_one_strip(ledger: RedisLedger) -> None:
    spec = record(ledger, "orders", "people", "series", collections=())
    end = PlanEnd(7, b"slice 6")
    ledger.append_slices(spec.run_id, end, [b"slice 7"], 10, {}, (1,))
    assert tuple(ledger.slice_collections(spec.run_id)) == ()
    assert list(strips(ledger, spec)) == ["slices"]


def test_a_verification_of_a_generation_is_mapped_by_its_documents(ledger: RedisLedger) -> None:
    part = GenerationPart(namespace=Namespace("shop", "orders"), position=0, first=0, count=1000)
    job = GenerationJob(name="orders", seed=7, parts=(part,), probe_digest="-")
    spec = record(ledger, "orders", collections=()).model_copy(
        update={
            "run_id": "ver-20261126-120000-0001",
            "job": VerificationJob(run_id="gen-1", of=job, exclusive=True),
        }
    )
    ledger.create(spec, 1000)
    ledger.acknowledge(spec.run_id, BatchRange(0, 500), RangeResult({}))
    (strip,) = strips(ledger, spec).values()
    assert (strip.name, strip.unit, strip.size) == ("shop.orders", "documents", 1000)
    assert cells(strip) == ["done"] * 50 + ["missing"] * 50


def test_nothing_is_in_work_once_a_run_is_over(ledger: RedisLedger) -> None:
    spec = record(ledger, "orders", collections=())
    ledger.windows.open(spec.run_id, "dataworks", 1, 5)
    ledger.windows.refill(spec.run_id)
    ledger.windows.take(spec.run_id, BatchRange(1, 2), "host:1", 60)
    assert "working" in cells(strips(ledger, spec)["copy.orders"])
    ledger.change_state(spec.run_id, WORKING, RunState.FAILED, "refused")
    assert "working" not in cells(strips(ledger, spec)["copy.orders"])


def test_changes_come_after_the_slices(ledger: RedisLedger) -> None:
    spec = record(ledger, "orders", "people", "series")
    ledger.key_windows.close_copy(spec.run_id, PlanEnd(7, b"slice 6"), 0)
    ledger.acknowledge(spec.run_id, BatchRange(0, 7), RangeResult({}))
    assert "changes" not in strips(ledger, spec)
    assert {strip.done for strip in strips(ledger, spec).values()} == {1.0}


def test_a_run_that_was_forgotten_leaves_nothing(ledger: RedisLedger) -> None:
    spec = record(ledger, "orders", "people", "series")
    assert tuple(ledger.slice_collections(spec.run_id)) == TURNS
    ledger.forget(spec.run_id)
    assert tuple(ledger.slice_collections(spec.run_id)) == ()


def test_documents_that_failed_are_of_those_that_were_there(ledger: RedisLedger) -> None:
    spec = record(ledger, "orders", collections=())
    failure = DocumentFailure("k", "1", "copy.orders", "too large")
    result = RangeResult({"documents": 69}, (failure,))
    ledger.acknowledge(spec.run_id, BatchRange(0, 7), result)
    ledger.close_plan(spec.run_id, PlanEnd(7, b"slice 6"))
    ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)
    run = summarize(spec, ledger.progress(spec.run_id))
    assert (run.documents, run.documents_total, run.share) == (69, 70, 1.0)
