"""The common part of the commands that pause and cancel a run."""

from __future__ import annotations

from dataworks_tasks.ledger.contract import RunState
from producer.cli.shared.options import CommandContext
from producer.resume.stop_run import stop_run


def stop_and_print(context: CommandContext, run_id: str, state: RunState) -> None:
    """Stop the run, and print how to continue it."""
    with context.connections() as connections:
        run_id = connections.run_id(run_id)
        flags = connections.ledger.progress(run_id).flags
        stop_run(connections.ledger, run_id, state)
    if context.as_json:
        context.print_json({"run": run_id, "state": state.value})
    else:
        text = f"{run_id} is {state}. Continue with: dataworks resume {run_id}"
        context.print_hint(text, flags)
