"""Record a run, so that the fleet drives it from then on."""

from __future__ import annotations

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.runs.driver_steps import step_names
from dataworks_tasks.runs.spec import RunSpec


def record_run(ledger: Ledger, spec: RunSpec, total: int | None, queue: str) -> None:
    """Record the run, and make the steps of its driver due in ``queue``.

    Without a queue it is left to the process that records it.
    """
    ledger.create(spec, total, queue, step_names(spec) if queue else ())
