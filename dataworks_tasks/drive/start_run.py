"""Start a run's driver: from the command that records a run, or resumes it."""

from __future__ import annotations

from celery import Celery

from dataworks_tasks.broker.run_queue import RunQueue
from dataworks_tasks.drive.message_room import open_window
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.runs.driver_steps import step_names
from dataworks_tasks.runs.spec import RunSpec


def start_run(app: Celery, ledger: Ledger, spec: RunSpec, queue: str) -> None:
    """Send the run's first messages, ahead of those of runs that have begun already.

    If the caller is killed before or during this, nothing is lost: the steps have been due since
    the run was recorded, and the first worker that notices does the same.
    """
    open_window(ledger, spec, queue)
    messages = RunQueue(app, ledger, spec, queue)
    names = step_names(spec)
    ledger.driver.schedule(spec.run_id, queue, names, CLAIM_SECONDS)
    messages.refill(first=True)
    ledger.windows.want(spec.run_id, 1)  # if there is no worker yet, an autoscaler starts one
    for name in names:
        messages.send_step(name, first=True)


CLAIM_SECONDS = 5.0
"""A step whose message was sent is due again after this, unless a worker has begun it."""
REFUSED_STEP_SECONDS = 1.0
"""A step of a run whose spec a worker cannot read is due again after this, for another worker."""
