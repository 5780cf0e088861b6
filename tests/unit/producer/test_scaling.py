"""The arithmetic of a run: against a ledger and documents as they really are, and by hand."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from redis import Redis

from dataworks_tasks.ledger.contract import RangeResult, WorkerReport
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings import FrameworkConfig
from producer.cli.plan import command
from producer.estimate import scaling
from producer.estimate.scaling import Fleet, ScalingEstimate, estimate_scaling
from producer.start.run_request import GenerationRequest, RunOptions
from producer.start.start_generation import GenerationPlan, plan_generation

CONFIG = FrameworkConfig()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "_MEASURED_SECONDS", 0.02)


def _plan(total: int | None, what: str = "service_order") -> GenerationPlan:
    return plan_generation(GenerationRequest(what, total, seed=1), CONFIG)


def _estimate(total: int | None, fleet: Fleet, **options: Any) -> ScalingEstimate:
    return estimate_scaling(_plan(total), CONFIG, RunOptions(**options), fleet)


def test_a_billion_documents() -> None:
    found = _estimate(10**9, Fleet(32, 20_000), batch_size=20_000, max_ru=100_000)
    assert (found.messages, found.partitions) == (50_000, 10)
    assert (found.waiting, found.waiting_bytes) == (32, 32 * 1_111)
    assert found.request_units == pytest.approx(5.5 * found.total_bytes / 1024)
    assert found.slowest.name == "--max-ru"
    assert found.seconds == pytest.approx(found.request_units / 100_000)
    (advice,) = found.advice()
    assert re.fullmatch(
        r"A range takes 3\d s, but 1 to 30 s are best; try: --batch-size 2\d00", advice
    )


@pytest.mark.parametrize(
    ("fleet", "options", "advice"),
    [
        (Fleet(2), {}, []),
        (Fleet(2, 5_000), {}, []),
        (Fleet(32, 20_000), {"batch_size": 1_000_000}, ["Each process gets fewer than ten ranges"]),
        (Fleet(300, 5_000), {}, []),
    ],
)
def test_advice(fleet: Fleet, options: dict[str, Any], advice: list[str]) -> None:
    found = [text.partition(";")[0] for text in _estimate(10**8, fleet, **options).advice()]
    assert found == advice


@pytest.mark.parametrize(("what", "total"), [("service_order", 3_000), ("shop", None)])
def test_documents_are_as_large_as_measured(what: str, total: int | None) -> None:
    plan = _plan(total, what)
    found = estimate_scaling(plan, CONFIG, RunOptions(), Fleet(1))
    made = [
        source.generate(0, part.count)
        for part, source in zip(plan.job.parts, plan.sources, strict=True)
    ]
    assert found.total_bytes == pytest.approx(sum(len(batch.data) for batch in made), rel=0.02)


def test_the_ledger_takes_no_more_than_said(redis_client: Redis) -> None:
    plan, processes = _plan(10**9), 32
    found = estimate_scaling(plan, CONFIG, RunOptions(), Fleet(processes))
    ledger = RedisLedger(redis_client)
    spec = RunSpec(
        run_id="gen-20260101-000000-0000",
        created_at=datetime.now(UTC),
        batch_size=10_000,
        target_fingerprint="cluster0.example.mongodb.net:27017",
        job=plan.job,
    )
    ledger.create(spec, plan.job.total)
    for number in range(found.waiting):
        start = number * 2 * spec.batch_size
        report = WorkerReport(f"worker-host-{number % processes}:12345", 1e9, number, 150_000_000)
        done = RangeResult({"documents": spec.batch_size, "bytes": 10**7})
        ledger.acknowledge(spec.run_id, BatchRange(start, start + spec.batch_size), done, report)
    keys = redis_client.keys(f"*{spec.run_id}*")
    taken = sum(redis_client.memory_usage(key, samples=0) or 0 for key in keys)
    assert 0.7 * found.ledger_bytes < taken <= found.ledger_bytes


def test_one_document_is_not_several() -> None:
    shown = CliRunner().invoke(command, ["service_order", "--total", "1", "--max-ru", "400"])
    assert shown.exit_code == 0, shown.exception
    assert shown.output.startswith("1 document of service_order\n")
    assert "1  partition of 10,000 RU/s" in shown.output
