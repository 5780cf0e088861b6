"""Record a run that compares another run's target with what it should hold."""

from __future__ import annotations

from datetime import UTC, datetime

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.runs.spec import GenerationJob, RunKind, RunSpec, VerificationJob, new_run_id
from producer.connections import Connections


def start_verification(run_id: str, connections: Connections) -> RunSpec:
    """A verification of the complete run ``run_id``.

    Raises UsageError when that run is not complete, or is a verification itself.
    """
    ledger = connections.ledger
    of = ledger.spec(run_id)
    if isinstance(of.job, VerificationJob):
        raise UsageError(
            f"{run_id} is a verification itself",
            f"Repeat it with: dataworks verify {of.job.run_id}",
        )
    connections.check_servers(of)
    progress = ledger.progress(run_id)
    if progress.state is not RunState.COMPLETE:
        raise UsageError(
            f"run {run_id} is {progress.state} with {progress.gaps} gaps: it is not whole",
            f"Finish it first: dataworks resume {run_id}",
        )
    spec = of.model_copy(
        update={
            "run_id": new_run_id(RunKind.VERIFICATION),
            "created_at": datetime.now(UTC),
            "max_rate": None,
            "job": VerificationJob(run_id=run_id, of=of.job, exclusive=not of.append),
        }
    )
    ledger.create(spec, of.job.total if isinstance(of.job, GenerationJob) else None)
    return spec
