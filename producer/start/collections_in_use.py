"""Keep ``--drop`` away from collections that another run reads, or writes into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dataworks_tasks.errors import SpecRefused, UnknownName, UsageError
from dataworks_tasks.ledger.contract import WORKING, Ledger, RunState
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationJob, RunSpec, VerificationJob
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection

_NOT_ENDED = WORKING | {RunState.PAUSED}


class _Use(NamedTuple):
    """A collection of a run: by its UUID, or by its name where its server has none."""

    does: str
    server: str | None
    namespace: Namespace
    uuid: str | None


def check_not_in_use(
    ledger: Ledger, target: BaseDatabaseClient, namespaces: Sequence[Namespace]
) -> None:
    """Raise UsageError when a run that has not ended reads one of the collections.

    Or when one that is not paused writes into it: what it has on the wire would arrive in the
    collection that takes the place of the dropped one.
    """
    found = {namespace: read_collection(target, namespace) for namespace in namespaces}
    uuids = {facts.uuid: name for name, facts in found.items() if facts and facts.uuid}
    for spec, state in _runs_not_ended(ledger):
        for use in (*_read(spec), *(_written(spec) if state in WORKING else ())):
            one_address = use.server == target.config.fingerprint
            by_name = use.uuid is None and one_address and found.get(use.namespace)
            if use.uuid in uuids or by_name:
                name = uuids.get(use.uuid or "", use.namespace)
                raise UsageError(
                    f"--drop would delete {name}, which run {spec.run_id} {use.does}",
                    f"Wait until that run ends, or stop it: dataworks cancel {spec.run_id}",
                )


def _read(spec: RunSpec) -> Iterator[_Use]:
    job = spec.data_job
    if not isinstance(job, GenerationJob):
        for pair in job.namespaces:
            yield _Use("reads", spec.source_fingerprint, pair.source, pair.source_uuid)


def _written(spec: RunSpec) -> Iterator[_Use]:
    job, server = spec.data_job, spec.target_fingerprint
    if isinstance(spec.job, VerificationJob):
        return
    if isinstance(job, GenerationJob):
        for part in job.parts:
            yield _Use("writes into", server, part.namespace, part.uuid)
    else:
        for pair in job.namespaces:
            yield _Use("writes into", server, pair.target, pair.target_uuid)


def _runs_not_ended(ledger: Ledger) -> Iterator[tuple[RunSpec, RunState]]:
    for run_id, state in ledger.states().items():
        if state in _NOT_ENDED:
            try:
                yield ledger.spec(run_id), state
            except (UnknownName, SpecRefused):
                continue  # forgotten meanwhile, or of a newer version that this one cannot read
