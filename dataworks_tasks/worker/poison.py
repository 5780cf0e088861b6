"""Find the document that kills every worker, and let the run continue without it."""

from __future__ import annotations

from dataworks_tasks.broker.messages import RangeMessage
from dataworks_tasks.errors import RunFailed
from dataworks_tasks.ledger.windows import Release
from dataworks_tasks.worker.process import WorkerProcess

DEADLY = 20
"""So many workers died with a range in hand, without any progress in between."""


def isolate(process: WorkerProcess, message: RangeMessage, deaths: int) -> Release:
    """Raise RunFailed."""
    raise RunFailed(
        f"{message.range} was returned {deaths} times by workers that died while working on it",
        f"Look for memory limits and crashes in the workers' logs, then "
        f"dataworks resume {message.run_id}",
    )
