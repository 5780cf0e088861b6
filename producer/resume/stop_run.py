"""Stop a run, for a while or for good."""

from __future__ import annotations

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import WORKING, Ledger, RunState


def stop_run(ledger: Ledger, run_id: str, state: RunState) -> None:
    """Pause or cancel the run. Raises UsageError when it has ended already."""
    before = ledger.state(run_id)
    allowed = WORKING | {RunState.PAUSED} if state is RunState.CANCELLED else WORKING
    if before is not state and not ledger.change_state(run_id, allowed, state):
        raise UsageError(
            f"run {run_id} is {before} and cannot be {state}",
            f"See it with: dataworks status {run_id}",
        )
