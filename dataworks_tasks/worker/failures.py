"""How many failures or differences a run may have, how many are listed, and how the run ends."""

from __future__ import annotations

from dataclasses import replace

from dataworks_tasks.errors import RunFailed
from dataworks_tasks.ledger.contract import Ledger, RangeResult, RunProgress, RunState
from dataworks_tasks.ledger.run_note import SCHEMA, NoteTopic
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.bounds import MOST_DIFFERENCES
from dataworks_tasks.runs.spec import RunKind, RunSpec

LISTED_DIFFERENCES = MOST_DIFFERENCES


def listed(ledger: Ledger, spec: RunSpec, result: RangeResult) -> RangeResult:
    """Return the result with only the differences to record; the others are counted."""
    if spec.kind is not RunKind.VERIFICATION or not result.failures:
        return result
    room = max(0, LISTED_DIFFERENCES - ledger.progress(spec.run_id).failures)
    return replace(result, failures=result.failures[:room])


def check_failures(ledger: Ledger, spec: RunSpec) -> None:
    """Raise RunFailed when there are more failures or differences than allowed."""
    progress = ledger.progress(spec.run_id)
    is_verification = spec.kind is RunKind.VERIFICATION
    count = progress.differences if is_verification else progress.failures
    if count > spec.max_failures:
        what = "differ" if is_verification else "could not be written"
        raise RunFailed(
            f"{counted(count, 'document')} {what}, more than the {spec.max_failures:,} allowed",
            f"See dataworks failures {spec.run_id}",
        )


def state_at_end(spec: RunSpec, progress: RunProgress) -> RunState:
    """Return the final state of a run: a verification is complete only without differences."""
    if spec.kind is not RunKind.VERIFICATION:
        return RunState.COMPLETE
    is_noted = any(
        note.attention and note.topic in {*SCHEMA, NoteTopic.DUPLICATES} for note in progress.notes
    )
    return RunState.DIFFERENT if progress.differences or is_noted else RunState.COMPLETE
