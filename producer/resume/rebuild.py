"""Rebuild a run that Redis has lost: from its spec and from what the target holds."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dataworks_tasks.errors import UnknownName, UsageError
from dataworks_tasks.ledger.contract import Ledger, RangeResult
from dataworks_tasks.ledger.run_counters import DOCUMENTS_OF, READ_OF, RULE_OF, RunCounter
from dataworks_tasks.plugins import load_plugins
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import StopSignal
from dataworks_tasks.runs.reproducibility import check_documents
from dataworks_tasks.runs.spec import GenerationJob, RepairJob, RunSpec, VerificationJob
from dataworks_tasks.settings.fingerprints import connection_setting
from dataworks_tasks.slicing.planning import Planner
from dataworks_tasks.store.collection_guard import server_process
from dataworks_tasks.worker.work_factory import create_work
from producer.connections import Connections
from producer.resume.continue_run import check_collections
from producer.start.generation_targets import create_missing, with_collection_uuids
from producer.start.separate_collections import check_still_separate, with_target_uuids


def rebuild_run(connections: Connections, spec: RunSpec) -> int:
    """Record the run again and acknowledge what is at the target; return how many documents.

    Every range is compared byte for byte, like a verification, with what a majority of the target's
    nodes has: equal ranges are acknowledged, the others stay gaps for the workers. May be killed
    at any moment: ``resume`` does the rest.
    Raises UsageError for a run that is on record or that is a verification, and SpecRefused when
    this machine reaches other servers than the run's.
    """
    ledger = connections.ledger
    if isinstance(spec.job, VerificationJob | RepairJob):
        repair = " --repair" if isinstance(spec.job, RepairJob) else ""
        raise UsageError(
            f"{spec.run_id} is a {spec.kind}, which is repeated, not rebuilt",
            f"Repeat it with: dataworks verify {spec.job.run_id}{repair}",
        )
    if _is_on_record(ledger, spec.run_id):
        raise UsageError(
            f"run {spec.run_id} is on record in this Redis, so there is nothing to rebuild",
            f"Continue it with: dataworks resume {spec.run_id}",
        )
    connections.check_servers(spec)
    check_documents(spec)
    load_plugins(connections.config.plugins)
    # The target's content is compared anyway, so another collection there does no harm.
    if isinstance(spec.job, GenerationJob):
        create_missing(connections.target, [part.namespace for part in spec.job.parts])
        made = with_collection_uuids(connections.target, spec.job)
        server = server_process(connections.target)
        spec = spec.model_copy(update={"job": made, "target_server": server})
        ledger.create(spec, made.total)
    else:
        pairs = with_target_uuids(connections.target, spec.job.namespaces)
        check_still_separate(
            pairs,
            spec.job.namespaces,
            connection_setting(spec, "target", connections.config),
        )
        job = spec.job.model_copy(update={"namespaces": pairs})
        server = server_process(connections.target)
        spec = spec.model_copy(update={"job": job, "target_server": server})
        check_collections(connections, spec)
        ledger.create(spec, None)
        for _ in Planner(ledger, connections.source, spec).plan():
            pass
    return sum(_acknowledge_again(connections, spec))


def _acknowledge_again(connections: Connections, spec: RunSpec) -> Iterator[int]:
    ledger, run_id = connections.ledger, spec.run_id
    job = spec.job
    if isinstance(job, VerificationJob | RepairJob):
        raise TypeError(f"{run_id} is a verification")
    as_verification = spec.model_copy(
        update={"job": VerificationJob(run_id=run_id, of=job, exclusive=False)}
    )
    source = None if spec.source_fingerprint is None else connections.source
    # A failover may roll back what only one node has, and nothing would write it again once it
    # counts as acknowledged.
    connections.target.read_committed()
    work = create_work(
        RunContext(as_verification, connections.config, ledger, connections.target, source)
    )
    planned = ledger.plan_end(run_id).planned
    try:
        differing: set[int] = set()
        for part in work.run(BatchRange(0, planned), StopSignal(math.inf)):
            compared = part.result
            if compared.failures or part.range.start in differing:
                differing.add(part.range.start)  # the rest of a slice cannot be ahead of its start
                continue
            count = compared.counters.get(RunCounter.EQUAL, 0)
            counters: dict[str, int] = {
                RunCounter.DOCUMENTS: count,
                RunCounter.ALREADY_THERE: count,
            }
            counters |= {
                name: number
                for name, number in compared.counters.items()
                if name.startswith((DOCUMENTS_OF, RULE_OF))
            }
            if spec.is_sliced:
                counters[RunCounter.READ] = counters[RunCounter.REBUILT] = count
                counters |= {
                    f"{READ_OF}{name.removeprefix(DOCUMENTS_OF)}": number
                    for name, number in counters.items()
                    if name.startswith(DOCUMENTS_OF)
                }
            part.with_result(RangeResult(counters)).record(ledger, run_id)
            yield count
    finally:
        work.close()


def _is_on_record(ledger: Ledger, run_id: str) -> bool:
    try:
        ledger.state(run_id)
    except UnknownName:
        return False
    return True
