"""The commands that a person would type next, from the state of a run."""

from __future__ import annotations

from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.runs.spec import RunKind
from producer.view.run_summary import RunSummary


def next_steps(run: RunSummary) -> tuple[str, ...]:
    """Each with its command; none for a run that is complete and has nothing to say."""
    steps: list[str] = []
    if run.failures and run.kind is RunKind.VERIFICATION:
        steps.append(f"See what differs: dataworks failures {run.run_id}")
    elif run.failures:
        steps.append(f"See the documents: dataworks failures {run.run_id}")
        if run.is_over:
            steps.append(f"Try them again: dataworks retry {run.run_id}")
    if run.state in {RunState.PAUSED, RunState.CANCELLED, RunState.FAILED}:
        steps.append(f"Continue: dataworks resume {run.run_id}")
    elif not run.is_over:
        steps.append(f"Watch it: dataworks status {run.run_id} --watch")
    elif run.kind is not RunKind.VERIFICATION:
        steps.append(f"Compare everything: dataworks verify {run.run_id}")
    return tuple(steps)
