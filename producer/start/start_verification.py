"""Record a run that compares another run's target with its intended content."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.bounds import MAX_DOCUMENTS
from dataworks_tasks.runs.reproducibility import check_documents
from dataworks_tasks.runs.run_id import new_run_id
from dataworks_tasks.runs.spec import (
    GenerationJob,
    MigrationJob,
    NamespacePair,
    RepairJob,
    RunKind,
    RunSpec,
    VerificationJob,
)
from dataworks_tasks.settings.fingerprints import connection_setting
from dataworks_tasks.store.collection_guard import server_process
from producer.connections import Connections
from producer.start.record_run import record_run
from producer.start.separate_collections import (
    check_still_separate,
    with_source_uuids,
    with_target_uuids,
)


def start_verification(
    run_id: str,
    connections: Connections,
    max_failures: int | None = None,
    *,
    following: bool = False,
    without: Collection[NamespacePair] = (),
) -> RunSpec:
    """Start a verification of the complete run ``run_id``.

    It stops at more than ``max_failures``; without a limit it compares everything, however much
    differs. ``following``: a run that follows its source may be verified before its cut-over;
    ``without``: collections to leave out, because the source no longer has them. Raises UsageError
    if the run is not complete, or is a verification itself.
    """
    ledger = connections.ledger
    of = ledger.spec(run_id)
    if isinstance(of.job, VerificationJob | RepairJob):
        raise UsageError(
            f"{run_id} is a {of.kind} itself",
            f"Compare again with: dataworks verify {of.job.run_id}",
        )
    connections.check_servers(of)
    check_documents(of)
    progress = ledger.progress(run_id)
    follows = progress.state is not RunState.COMPLETE and (
        of.follows and ledger.key_windows.is_copied(run_id)
    )
    if follows and not following:
        raise UsageError(
            f"run {run_id} follows its source: it is not complete",
            f"Compare it as it is: dataworks verify {run_id} --live; or finish it: "
            f"dataworks cutover {run_id}",
        )
    if progress.state is not RunState.COMPLETE and not follows:
        raise UsageError(
            f"run {run_id} is {progress.state} with {counted(progress.gaps, 'gap')}: "
            "it is not complete",
            f"Finish it first: dataworks resume {run_id}",
        )
    job = of.job
    if isinstance(job, MigrationJob):
        pairs = tuple(pair for pair in job.namespaces if pair not in without)
        job = job.model_copy(update={"namespaces": pairs})
        target = connection_setting(of, "target", connections.config)
        job = _as_it_is_now(job, connections, target)
    spec = of.model_copy(
        update={
            "run_id": new_run_id(RunKind.VERIFICATION),
            "created_at": datetime.now(UTC),
            "max_rate": None,
            "max_failures": MAX_DOCUMENTS if max_failures is None else max_failures,
            "target_server": server_process(connections.target),
            **_source_server(of, connections),
            "job": VerificationJob(run_id=run_id, of=job, exclusive=not of.append),
        }
    )
    record_run(
        ledger,
        spec,
        of.job.total if isinstance(of.job, GenerationJob) else None,
        connections.run_queue,
    )
    return spec


def _source_server(of: RunSpec, connections: Connections) -> dict[str, str | None]:
    if of.source_fingerprint is None:
        return {}
    return {"source_server": server_process(connections.source)}


def _as_it_is_now(job: MigrationJob, connections: Connections, target_setting: str) -> MigrationJob:
    """Return the job with the current collections, which are the ones to compare."""
    pairs = with_source_uuids(connections.source, job.namespaces)
    pairs = with_target_uuids(connections.target, pairs)
    check_still_separate(pairs, job.namespaces, target_setting)
    return job.model_copy(update={"namespaces": pairs})
