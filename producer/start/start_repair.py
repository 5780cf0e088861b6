"""Record a run that repairs what a verification found to differ."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from bson.timestamp import Timestamp

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import Ledger, RunState
from dataworks_tasks.ledger.key_windows import Append
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs import bounds
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.run_id import new_run_id
from dataworks_tasks.runs.spec import (
    ClaimTimes,
    GenerationJob,
    MigrationJob,
    RepairJob,
    RunKind,
    RunSpec,
    VerificationJob,
)
from dataworks_tasks.sync.key_window import KeyWindow
from dataworks_tasks.sync.listed_differences import difference_windows, read_differences
from dataworks_tasks.sync.target_end import target_end
from producer.connections import Connections
from producer.start.target_changes import changes_since

_WINDOWS_AT_ONCE = 50
_SHOWN_CHANGES = 1000
_CLOCK_SECONDS = 1
"""A margin, because the clocks of Redis and of the target differ."""


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """What a repair is allowed to do to the target."""

    delete_extra: bool = False
    overwrite_changes: bool = False


def check_repairable(run_id: str, request: RepairRequest, connections: Connections) -> None:
    """Raise UsageError for a run whose target must not be repaired, before anything is compared."""
    ledger = connections.ledger
    spec = ledger.spec(run_id)
    job = spec.job
    if isinstance(job, VerificationJob | RepairJob):
        raise UsageError(
            f"{run_id} is a {spec.kind} itself",
            f"Repair the run: dataworks verify {job.run_id} --repair",
        )
    connections.check_servers(spec)
    progress = ledger.progress(run_id)
    if spec.follows and progress.state is RunState.COMPLETE:
        raise UsageError(
            f"run {run_id} was cut over: the application may write to the target by now, and a "
            "repair would undo that",
            f"Look at what differs: dataworks verify {run_id}",
        )
    if progress.state is not RunState.COMPLETE or request.overwrite_changes:
        return
    since = max(_ends(ledger, run_id))
    changes = changes_since(connections.target, _targets(job), since)
    if changes.count:
        few = changes.count < _SHOWN_CHANGES
        times = counted(changes.count, "time") if few else "1,000 times or more"
        raise UsageError(
            f"the target of {run_id} was changed {times} since the run wrote it, "
            f"the last time by {changes.last}; a repair would undo that",
            f"To do it anyway: dataworks verify {run_id} --repair --overwrite-changes",
        )


def start_repair(verification: str, request: RepairRequest, connections: Connections) -> RunSpec:
    """Start a repair of what ``verification`` recorded as different.

    Raises UsageError if a difference cannot be repaired key by key.
    """
    ledger = connections.ledger
    checked = ledger.spec(verification)
    if not isinstance(checked.job, VerificationJob):
        raise UsageError(
            f"{verification} is not a verification",
            f"Find out what differs first: dataworks verify {verification} --repair",
        )
    config = connections.config
    fenced = connections.target.capabilities.fenced_writes
    job = RepairJob(
        run_id=checked.job.run_id,
        of=checked.job.of,
        verification=verification,
        delete_extra=request.delete_extra,
        claims=ClaimTimes(
            seconds=config.claim_seconds,
            # If writes are fenced, the server itself refuses late ones.
            late_seconds=0 if fenced else config.late_write_seconds,
        ),
    )
    spec = checked.model_copy(
        update={
            "run_id": new_run_id(RunKind.REPAIR),
            "created_at": datetime.now(UTC),
            "max_failures": bounds.MOST_DIFFERENCES,
            "job": job,
        }
    )
    # It is not driven before all of its windows exist: it would be finished at once.
    ledger.create(spec, 0)
    for windows in _windows(ledger, job):
        documents = sum(len(window.keys) for window in windows)
        data = [window.to_bytes() for window in windows]
        ledger.key_windows.append(spec.run_id, Append(data, documents=documents))
    return spec


def _windows(ledger: Ledger, job: RepairJob) -> Iterator[Sequence[KeyWindow]]:
    """Yield the windows to reconcile, a few at a time.

    Extra documents come first: one of them may have a value that a unique index refuses to others.
    """
    differences = list(read_differences(ledger, job))
    differences.sort(key=lambda difference: not difference.is_extra)
    wanted = (each for each in differences if job.delete_extra or not each.is_extra)
    windows = difference_windows(wanted, secrets.token_bytes(8))
    while group := list(islice(windows, _WINDOWS_AT_ONCE)):
        yield group


def _targets(job: GenerationJob | MigrationJob) -> set[Namespace]:
    if isinstance(job, MigrationJob):
        return {pair.target for pair in job.namespaces}
    return {part.namespace for part in job.parts}


def _ends(ledger: Ledger, run_id: str) -> Iterator[Timestamp]:
    """Yield the end of the target's history after the run, and after each of its repairs."""
    yield _end(ledger, run_id)
    for other in ledger.run_ids():
        if other.startswith("rep-"):
            job = ledger.spec(other).job
            if isinstance(job, RepairJob) and job.run_id == run_id:
                yield _end(ledger, other)


def _end(ledger: Ledger, run_id: str) -> Timestamp:
    """Return the end by the target's own clock. An interrupted repair ends with its last write."""
    position = target_end(ledger, run_id)
    if position is not None:
        return position
    progress = ledger.progress(run_id)
    moment = progress.finished_at or progress.last_acknowledged_at or progress.created_at
    return Timestamp(int(moment.timestamp()) + _CLOCK_SECONDS, 0)
