"""Rates and ages, from samples of a run."""

from __future__ import annotations

import pytest

from dataworks_tasks.ledger.contract import RunState, WorkerReport
from dataworks_tasks.ledger.worker_registry import LivingWorker
from dataworks_tasks.monitor.living_processes import WORKER_SILENT_SECONDS
from dataworks_tasks.monitor.operation import OperationMetrics, PerformanceMonitor
from dataworks_tasks.monitor.standstill import Standstill
from dataworks_tasks.runs.batch_range import BatchRange
from tests.unit.monitor.run_samples import at, progress


class Run:
    """A monitor with a clock set to the time of the run."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.monitor = PerformanceMonitor(window_seconds=5.0, clock=lambda: self.seconds)

    def at(
        self, seconds: float, documents: int = 0, gap: int | None = None, **changes: object
    ) -> OperationMetrics:
        self.seconds = seconds
        first_gap = None if gap is None else BatchRange(gap, gap + 1)
        return self.monitor.observe(progress(seconds, documents, **changes), first_gap, at(seconds))


def test_the_first_sample_gives_the_average_and_later_ones_the_last_seconds() -> None:
    run = Run()
    assert run.at(10, 5_000).documents_per_second == 500
    now = run.at(15, 15_000)
    assert (now.documents_per_second, now.average_documents_per_second) == (2000, 1000)
    assert (now.bytes_per_second, now.request_units_per_second) == (2_000_000, 0)
    assert run.at(20, 15_000, counters={"request_units": 500}).request_units_per_second == 100
    run.at(25, 15_000)
    assert run.at(26, 15_000).documents_per_second == 0


def test_acknowledgements_that_come_rarely_do_not_make_the_rate_jump() -> None:
    run = Run()
    rates = [run.at(second, 1_000 * (second // 8)).documents_per_second for second in range(8, 120)]
    assert 1_000 / 8 * 0.6 < min(rates[40:]) <= max(rates[40:]) < 1_000 / 8 * 1.4
    still = [run.at(second, 14_000).documents_per_second for second in range(120, 180)]
    assert still[-1] == 0


def test_a_run_that_ended_shows_its_average() -> None:
    run = Run()
    run.at(5, 1000)
    ended = run.at(90, 2000, state=RunState.COMPLETE, finished_at=at(10))
    assert (ended.documents_per_second, ended.seconds) == (200, 10)
    assert (ended.seconds_since_progress, ended.oldest_gap_seconds) == (0, 0)


def test_error_rate_is_the_share_that_failed() -> None:
    assert Run().at(1, 0).error_rate == 0
    assert Run().at(1, 99, failures=1).error_rate == 0.01


def test_the_age_of_the_first_gap_starts_again_when_it_moves() -> None:
    run = Run()
    run.at(0, gap=0)
    assert run.at(40, gap=0).oldest_gap_seconds == 40
    assert run.at(50, gap=7).oldest_gap_seconds == 0
    assert run.at(55, gap=7).oldest_gap_seconds == 5
    assert run.at(60, gap=None).oldest_gap_seconds == 0


def test_throttling_is_a_share_of_the_workers_time() -> None:
    run = Run()
    run.at(10, 10)
    now = run.at(14, 10, counters={"waited_milliseconds": 1000})
    assert now.throttled_share == pytest.approx(0.25)


def test_a_worker_that_is_silent_is_not_alive() -> None:
    metrics = Run().at(10, 10)
    assert (len(metrics.workers), metrics.peak_worker_bytes) == (1, 100_000_000)
    monitor = PerformanceMonitor()
    late = monitor.observe(progress(10, 10), now=at(11 + WORKER_SILENT_SECONDS))
    assert (late.workers, late.peak_worker_bytes) == ((), 0)


def _report(name: str, seconds: float) -> WorkerReport:
    return WorkerReport(name, at(seconds).timestamp(), 100, 100_000_000)


@pytest.mark.parametrize(
    ("alive", "counted"),
    [
        ({}, set()),
        ({"ended": 1}, {"ended:1"}),
        ({"fleet": 2}, {"fleet:2", "fleet:3"}),
        ({"fleet": 3, "idle": 4}, {"fleet:1", "fleet:2", "fleet:3"}),
        (None, {"ended:1", "fleet:1", "fleet:2", "fleet:3"}),
    ],
)
def test_processes_that_ended_or_were_replaced_do_not_count(
    alive: dict[str, int] | None, counted: set[str]
) -> None:
    """``fleet:1`` was replaced by ``fleet:3``, unless its worker has room for three."""
    workers = (
        None
        if alive is None
        else tuple(
            LivingWorker(id_, f"celery@{id_}", ("q",), "prefork", size, 0.0, "1")
            for id_, size in alive.items()
        )
    )
    reports = (_report("ended:1", 9), _report("fleet:1", 3), _report("fleet:2", 8),
               _report("fleet:3", 7))  # fmt: skip
    metrics = PerformanceMonitor().observe(
        progress(10, 400, workers=reports, counters={"waited_milliseconds": 4_000}),
        now=at(10),
        standstill=Standstill(workers=workers),
    )
    assert {worker.name for worker in metrics.workers} == counted
    assert metrics.throttled_share == pytest.approx(0.4 / max(1, len(counted)))
