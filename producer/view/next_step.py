"""The commands that a person would type next, from the state of a run."""

from __future__ import annotations

from dataworks_tasks.errors import asks_for_new_run
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.runs.spec import RunKind
from producer.view.pasteable import first_steps, with_flags
from producer.view.run_summary import RunSummary

_STOPPED = frozenset({RunState.PAUSED, RunState.CANCELLED, RunState.FAILED})


def may_resume(state: RunState, last_error: str | None) -> bool:
    """Return whether ``resume`` can help a run: not after an error that asks for a new one."""
    is_lost = state is RunState.FAILED and asks_for_new_run(last_error)
    return state in _STOPPED and not is_lost


def resume_command(run_id: str, state: RunState, last_error: str | None) -> str:
    """Return the command that continues a run; with the flag that a lost history needs."""
    command = f"dataworks resume {run_id}"
    if state is RunState.FAILED and f"{command} --resync" in (last_error or ""):
        return f"{command} --resync"
    return command


def next_steps(run: RunSummary) -> tuple[str, ...]:
    """Return the next steps, each with its command; empty if there is nothing to do."""
    steps = [with_flags(step, run.flags) for step in _steps(run)]
    return (*first_steps(" ".join(steps), run.flags), *steps)


def _steps(run: RunSummary) -> list[str]:
    steps: list[str] = []
    if run.failures and run.kind is RunKind.VERIFICATION:
        steps.append(f"See what differs: dataworks failures {run.run_id}")
        if run.is_over:
            steps.extend(run.repair_steps)
    elif run.failures and run.kind is RunKind.REPAIR:
        steps.append(f"See what still differs: dataworks failures {run.run_id}")
    elif run.failures:
        steps.append(f"See the documents: dataworks failures {run.run_id}")
        if run.is_over and not run.is_cut_over:
            steps.append(f"Try them again: dataworks retry {run.run_id}")
    if may_resume(run.state, run.last_error):
        steps.append(f"Continue: {resume_command(run.run_id, run.state, run.last_error)}")
    elif not run.is_over:
        steps.append(f"Watch it: dataworks status {run.run_id} --watch")
    elif run.state is RunState.COMPLETE and run.kind is not RunKind.VERIFICATION:
        steps.append(f"Compare everything: dataworks verify {run.verified or run.run_id}")
    return steps
