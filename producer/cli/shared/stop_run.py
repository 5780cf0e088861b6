"""What pausing and cancelling have in common."""

from __future__ import annotations

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import WORKING, RunState
from producer.cli.shared.options import CommandContext


def stop_run(context: CommandContext, run_id: str, state: RunState) -> None:
    """Take the run out of work; raises UsageError when it has ended already."""
    with context.connections() as connections:
        ledger = connections.ledger
        before = ledger.state(run_id)
        allowed = WORKING | {RunState.PAUSED} if state is RunState.CANCELLED else WORKING
        if before is not state and not ledger.change_state(run_id, allowed, state):
            raise UsageError(
                f"run {run_id} is {before} and cannot be {state}",
                f"See it with: dataworks status {run_id}",
            )
    if context.as_json:
        context.print_json({"run": run_id, "state": state.value})
    else:
        context.console.print(f"{run_id} is {state}. Continue with: dataworks resume {run_id}")
