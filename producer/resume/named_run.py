"""Go on with the run of a name: for jobs that are restarted, and for cron."""

from __future__ import annotations

from dataworks_tasks.errors import UnknownName, UsageError
from dataworks_tasks.ledger.contract import WORKING, Ledger, RunState
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.spec import GenerationJob, RunKind, RunSpec
from producer.connections import Connections


def find_named_run(
    connections: Connections, name: str | None, kind: RunKind, total: int | None = None
) -> RunSpec | None:
    """Find the run of that name and continue it if an error stopped it; None: no such run.

    Raises UsageError for a run of another kind or another ``total``, and for one that a person
    paused or cancelled.
    """
    if name is None:
        return None
    ledger = connections.ledger
    run_id = ledger.named_run(name)
    spec = None if run_id is None else _on_record(ledger, run_id)
    if spec is None:
        return None
    if spec.kind is not kind:
        raise UsageError(
            f"the run named {name} is a {spec.kind}: {spec.run_id}", "Choose another --run-name"
        )
    _check_same_job(spec, name, total)
    state = ledger.state(spec.run_id)
    if state in {RunState.PAUSED, RunState.CANCELLED}:
        raise UsageError(
            f"the run named {name} is {state}: {spec.run_id}",
            f"Continue it: dataworks resume {spec.run_id}",
        )
    if state in WORKING:
        return spec
    # Imported here: a run that begins needs nothing of it.
    from producer.resume.continue_run import continue_run

    return continue_run(connections, spec.run_id)


def _check_same_job(spec: RunSpec, name: str, total: int | None) -> None:
    """Raise UsageError when the run of that name makes another number of documents."""
    if total and isinstance(spec.job, GenerationJob) and spec.job.total != total:
        raise UsageError(
            f"the run named {name} generates {counted(spec.job.total, 'document')}, not {total:,}",
            "Choose another --run-name, or leave --total as it was",
        )


def _on_record(ledger: Ledger, run_id: str) -> RunSpec | None:
    try:
        return ledger.spec(run_id)
    except UnknownName:
        return None
