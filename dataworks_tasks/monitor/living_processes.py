"""Which worker processes are alive, of those that reported to a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from dataworks_tasks.ledger.results import WorkerReport
from dataworks_tasks.ledger.worker_registry import LivingWorker

WORKER_SILENT_SECONDS = 90.0
"""A worker process that acknowledged nothing for longer is not counted as working. A range takes 60
s at most, and each part of it is acknowledged as it is written."""


def recent_reports(reports: Iterable[WorkerReport], now: float) -> tuple[WorkerReport, ...]:
    """Return the processes that acknowledged something lately."""
    return tuple(one for one in reports if now - one.reported_at <= WORKER_SILENT_SECONDS)


def living_processes(
    reports: Iterable[WorkerReport], workers: Sequence[LivingWorker]
) -> tuple[WorkerReport, ...]:
    """Return the processes whose worker is one of ``workers``, which are alive.

    A process that was replaced has reported, too: a worker does not have more processes than it
    says, so its newest reports count.
    """
    places = Counter({worker.id: worker.processes for worker in workers})
    found = []
    for report in sorted(reports, key=lambda one: one.reported_at, reverse=True):
        if places[report.worker_id] > 0:
            places[report.worker_id] -= 1
            found.append(report)
    return tuple(sorted(found, key=lambda one: one.name))
