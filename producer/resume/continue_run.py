"""Resume a run after a crash, pause, cancel or error, or retry its failures."""

from __future__ import annotations

from collections.abc import Sequence

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import FINISHED, WORKING, RunState
from dataworks_tasks.migrate.run_guards import RunGuards
from dataworks_tasks.runs.driver_steps import step_names
from dataworks_tasks.runs.reproducibility import check_documents
from dataworks_tasks.runs.spec import (
    MigrationJob,
    RepairJob,
    RunKind,
    RunSpec,
)
from dataworks_tasks.settings.fingerprints import other_server_remedy
from dataworks_tasks.store.collection_guard import CollectionGuard
from dataworks_tasks.sync.key_window import id_of_failure
from dataworks_tasks.sync.window_work import hot_key
from producer.connections import Connections

_STOPPED = frozenset({RunState.PAUSED, RunState.CANCELLED, RunState.FAILED})


def continue_run(connections: Connections, run_id: str) -> RunSpec:
    """Continue the run if it is not active, and return its spec.

    Raises UnknownName for a run that is not on record, SpecRefused when this machine reaches
    servers other than the run's, and RunFailed when a collection of the run was dropped, renamed or
    replaced. A complete run is not changed.
    """
    ledger = connections.ledger
    spec = ledger.spec(run_id)
    connections.check_servers(spec)
    check_documents(spec)
    follows_on = spec.follows and ledger.key_windows.copy_slices(run_id) is not None
    if ledger.state(run_id) not in FINISHED and not follows_on:
        check_collections(connections, spec)
    ledger.set_going(run_id, _STOPPED | WORKING, *_driver(connections, spec))
    return spec


def retry_failures(connections: Connections, run_id: str) -> RunSpec:
    """Turn the ranges that hold failures into gaps again and continue the run.

    Raises UsageError when the run has no failures, and for a repair, which has to be started again
    instead.
    """
    ledger = connections.ledger
    spec = ledger.spec(run_id)
    connections.check_servers(spec)
    check_documents(spec)
    check_collections(connections, spec)
    if ledger.progress(run_id).failures == 0:
        raise UsageError(f"run {run_id} has no failures", f"See it with: dataworks status {run_id}")
    if isinstance(spec.job, RepairJob):
        raise UsageError(
            f"{run_id} is a repair, and a repair is not retried",
            f"Repair again: dataworks verify {spec.job.run_id} --repair",
        )
    if isinstance(spec.job, MigrationJob) and spec.follows:
        _reconcile_failed(connections, spec, spec.job)
        return spec
    ledger.reopen_failed(run_id, *_driver(connections, spec))
    return spec


def _reconcile_failed(connections: Connections, spec: RunSpec, job: MigrationJob) -> None:
    """Reconcile the keys of failures again; a key that succeeds clears its failure."""
    ledger, run_id = connections.ledger, spec.run_id
    if ledger.state(run_id) is RunState.COMPLETE:
        raise UsageError(
            f"run {run_id} was cut over: nothing is written to its target any more",
            f"See what failed: dataworks failures {run_id}",
        )
    pairs = {str(pair.target): number for number, pair in enumerate(job.namespaces)}
    keys = [
        (
            hot_key(pairs[failure.namespace], id_of_failure(failure.bson_id)),
            pairs[failure.namespace],
        )
        for failure in ledger.failures(run_id)
        if failure.bson_id and failure.namespace in pairs
    ]
    ledger.key_windows.add_hot_keys(run_id, keys)
    ledger.set_going(run_id, _STOPPED | WORKING, *_driver(connections, spec))


def _driver(connections: Connections, spec: RunSpec) -> tuple[str, Sequence[str]]:
    """Return the queue and the steps that drive the run; none if this process does the work."""
    queue = connections.run_queue
    return queue, step_names(spec) if queue else ()


def check_collections(connections: Connections, spec: RunSpec) -> None:
    """Raise RunFailed or SpecRefused unless the run's collections are those it started with."""
    job = spec.data_job
    if isinstance(job, MigrationJob):
        RunGuards(spec, connections.config, connections.source, connections.target).check_all(job)
    elif spec.kind is not RunKind.VERIFICATION:
        guard = CollectionGuard(
            connections.target,
            "target",
            spec.target_server,
            other_server_remedy(spec, "target", connections.config),
        )
        for part in job.parts:
            guard.check(part.namespace, part.uuid)
