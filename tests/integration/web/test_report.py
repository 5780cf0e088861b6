"""The report says that documents are equal only after a verification that found nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from dataworks_tasks.ledger.contract import WORKING, DocumentFailure, RangeResult, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import GenerationJob, RunSpec, VerificationJob
from producer.report.run_report import read_report
from tests.integration.web.test_pages import acknowledge, record_run


def record_verification(ledger: RedisLedger, run_id: str) -> str:
    """A verification of a run of 1,000 documents."""
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
    assert "Nothing was compared" in read_report(ledger, run_id).verdict
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
