"""The worker processes that reported to some runs, and what each of them does now."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from dataworks_tasks.ledger.contract import Ledger, RunProgress, WorkerReport
from dataworks_tasks.monitor.living_processes import living_processes, recent_reports
from dataworks_tasks.monitor.standstill import storage_problem


class ProcessState(StrEnum):
    """What a worker process does now."""

    WORKING = "working"  # it has reported lately
    IDLE = "idle"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker process, and the run to which it reported last."""

    run_id: str
    report: WorkerReport
    silent_seconds: float
    state: ProcessState


@dataclass(frozen=True, slots=True)
class WorkerListing:
    """Worker processes, the most recent report first; ``alive``: how many workers are alive.

    ``problem``: why workers cannot report, so that this is the state of their latest reports.
    """

    rows: tuple[WorkerRow, ...]
    alive: int
    problem: str = ""


def list_workers(ledger: Ledger, runs: Iterable[RunProgress]) -> WorkerListing:
    """Return the processes that reported to ``runs``, each with its latest report."""
    latest: dict[str, tuple[WorkerReport, str]] = {}
    for run in runs:
        for report in run.workers:
            known = latest.get(report.name)
            if known is None or known[0].reported_at < report.reported_at:
                latest[report.name] = report, run.run_id
    problem, now = storage_problem(ledger.memory()), time.time()
    # Those that ended properly are gone from the registry at once.
    alive = ledger.workers.alive(*([math.inf] if problem else []))
    reports = [report for report, _ in latest.values()]
    living = {report.name for report in living_processes(reports, alive)}
    recent = {report.name for report in recent_reports(reports, now)}
    rows = []
    for report, run_id in latest.values():
        if report.name in living:
            state = ProcessState.WORKING if report.name in recent else ProcessState.IDLE
        else:
            # A process that works on a run of its own is not a worker.
            is_working = report.name in recent and not ledger.windows.queue(run_id)
            state = ProcessState.WORKING if is_working else ProcessState.ENDED
        rows.append(WorkerRow(run_id, report, max(0.0, now - report.reported_at), state))
    rows.sort(key=lambda row: row.silent_seconds)
    return WorkerListing(tuple(rows), len(alive), problem)
