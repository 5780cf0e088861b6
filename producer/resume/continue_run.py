"""Take a run up again: after a crash, a pause, a cancel, an error, or for its failures."""

from __future__ import annotations

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.runs.spec import RunSpec
from producer.connections import Connections

_STOPPED = frozenset({RunState.PAUSED, RunState.CANCELLED, RunState.FAILED})


def continue_run(connections: Connections, run_id: str) -> RunSpec:
    """Set the run going again, where it is not, and return its spec.

    Raises UnknownName for a run that is not on record and SpecRefused when this machine reaches
    other servers than the run's. A complete run is left as it is.
    """
    ledger = connections.ledger
    spec = ledger.spec(run_id)
    connections.check_servers(spec)
    going = RunState.PLANNING if ledger.progress(run_id).total is None else RunState.RUNNING
    ledger.change_state(run_id, _STOPPED, going)
    return spec


def retry_failures(connections: Connections, run_id: str) -> RunSpec:
    """Turn the ranges that hold failures into gaps again and set the run going.

    Raises UsageError when the run has no failures.
    """
    ledger = connections.ledger
    spec = ledger.spec(run_id)
    connections.check_servers(spec)
    if ledger.progress(run_id).failures == 0:
        raise UsageError(f"run {run_id} has no failures", f"See it with: dataworks status {run_id}")
    ledger.reopen_failed(run_id)
    going = RunState.PLANNING if ledger.progress(run_id).total is None else RunState.RUNNING
    ledger.change_state(run_id, _STOPPED | {RunState.COMPLETE}, going)
    return spec
