"""The report says that documents are equal only after a verification that found nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from dataworks_tasks.ledger.contract import WORKING, DocumentFailure, RangeResult, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import GenerationJob, RepairJob, RunSpec, VerificationJob
from producer.report.render_report import render_report
from producer.report.run_report import read_report
from tests.fleet import Fleet
from tests.integration.web.test_pages import acknowledge, record_run


def record_verification(ledger: RedisLedger, run_id: str) -> str:
    """Return a verification of a run of 1,000 documents."""
    job = ledger.spec(run_id).job
    assert isinstance(job, GenerationJob)
    spec = RunSpec(
        run_id="ver-20261126-130000-0000",
        created_at=datetime.now(UTC),
        batch_size=100,
        target_fingerprint="db:27017",
        job=VerificationJob(run_id=run_id, of=job, exclusive=True),
    )
    ledger.create(spec, 1000)
    return spec.run_id


def test_the_verdict_follows_the_newest_verification(ledger: RedisLedger) -> None:
    run_id = record_run(ledger)
    acknowledge(ledger, run_id, 0, 1000)
    ledger.change_state(run_id, WORKING, RunState.COMPLETE)
    assert "No verification was run" in read_report(ledger, run_id).verdict
    verification = record_verification(ledger, run_id)
    assert "equal" not in read_report(ledger, run_id).verdict
    difference = DocumentFailure("k", "1", "shop.orders", "missing at the target")
    result = RangeResult({"documents": 1000}, (difference,))
    ledger.acknowledge(verification, BatchRange(0, 1000), result)
    ledger.change_state(verification, WORKING, RunState.DIFFERENT)
    report = read_report(ledger, run_id)
    assert "equal" not in report.verdict
    assert "1,000 documents and found 1 difference." in report.verdict
    assert report.mood == "bad"
    own = read_report(ledger, verification).verdict
    assert "1,000 documents were compared. 1 difference is on record." in own


@pytest.mark.parametrize(
    ("deletes_extra", "extra", "failed", "much", "mood"),
    [
        (False, 0, 0, "All", "read"),
        (True, 1, 0, "All", "read"),
        (False, 1, 0, "Not all", "bad"),
        (True, 0, 1, "Not all", "bad"),
    ],
)
def test_a_repair_after_the_newest_verification_is_named(
    ledger: RedisLedger, deletes_extra: bool, extra: int, failed: int, much: str, mood: str
) -> None:
    run_id = record_run(ledger)
    acknowledge(ledger, run_id, 0, 1000)
    ledger.change_state(run_id, WORKING, RunState.COMPLETE)
    verification = record_verification(ledger, run_id)
    difference = DocumentFailure("k", "1", "shop.orders", "missing at the target")
    counters = {"documents": 1000, "extra": extra, "missing": 1}
    result = RangeResult(counters, (difference,))
    ledger.acknowledge(verification, BatchRange(0, 1000), result)
    ledger.change_state(verification, WORKING, RunState.DIFFERENT)
    job = ledger.spec(run_id).data_job
    spec = ledger.spec(verification).model_copy(
        update={
            "run_id": f"rep-{verification[4:]}",
            "created_at": datetime.now(UTC) + timedelta(seconds=1),
            "job": RepairJob(
                run_id=run_id, of=job, verification=verification, delete_extra=deletes_extra
            ),
        }
    )
    ledger.create(spec, 1)
    assert read_report(ledger, run_id).mood == "bad", "it is not complete"
    left = (DocumentFailure("k", "1", "shop.orders", "refused"),) if failed else ()
    ledger.acknowledge(spec.run_id, BatchRange(0, 1), RangeResult({"documents": 1}, left))
    ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)
    report = read_report(ledger, run_id)
    assert f"{much} of them were repaired afterwards, by {spec.run_id}." in report.verdict
    assert report.mood == mood
    assert report.as_json()["verifications"][0]["repaired_by"] == spec.run_id


def test_a_verification_that_found_other_indexes_is_not_a_good_one(ledger: RedisLedger) -> None:
    run_id = record_run(ledger)
    acknowledge(ledger, run_id, 0, 1000)
    ledger.change_state(run_id, WORKING, RunState.COMPLETE)
    verification = record_verification(ledger, run_id)
    counted = RangeResult({"documents": 1000})
    ledger.acknowledge(verification, BatchRange(0, 1000), counted)
    note = RunNote(NoteTopic.INDEXES, "shop.orders", "the index a_1 is missing", attention=True)
    ledger.set_notes(verification, NoteTopic.INDEXES, [note])
    ledger.change_state(verification, WORKING, RunState.DIFFERENT)
    report = read_report(ledger, run_id)
    assert "which are equal, but indexes, options or views differ" in report.verdict
    assert report.mood == "bad"
    own = read_report(ledger, verification)
    assert own.verdict.startswith("The run found differences:")
    assert own.mood == "bad"


def test_the_collections_are_what_the_databases_hold(fleet: Fleet) -> None:
    """The figures come from the servers, and not from what the run counted."""
    fleet.start_worker(1)
    database = fleet.mongo[fleet.database]
    orders = database["orders"]
    orders.create_index("amount")
    orders.insert_many({"_id": number, "amount": number * 3} for number in range(700))
    database["copy"].insert_one({"_id": "there before"})
    names = ("--include", orders.full_name, "--to", f"{fleet.database}.copy", "--append")
    run = fleet.run_json("migrate", *names)["run"]
    fleet.run("verify", run, check=False)
    (found,) = fleet.run_json("report", run)["collections"]
    for side, collection in (("source", orders), ("target", database["copy"])):
        size = database.command("collStats", collection.name)
        assert found[side] == {
            "name": collection.full_name,
            "documents": collection.count_documents({}),
            "bytes": size["size"],
            "indexes": len(collection.index_information()),
        }
    page = render_report(read_report(fleet.ledger, run))
    assert re.search(rf">{orders.full_name}</th><td class=\"number\">700</td>", page)
    assert re.search(rf">{fleet.database}.copy</th><td class=\"number\">701</td>", page)


def test_a_run_that_is_not_over_has_no_final_collections(ledger: RedisLedger) -> None:
    run_id = record_run(ledger)
    acknowledge(ledger, run_id, 0, 500)
    report = read_report(ledger, run_id)
    assert report.as_json()["collections"] == []
    assert "What each server said" not in render_report(report)
