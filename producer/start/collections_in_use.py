"""Keep ``--drop`` away from collections that another run reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dataworks_tasks.errors import SpecRefused, UnknownName, UsageError
from dataworks_tasks.ledger.contract import WORKING, Ledger, RunState
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, RunSpec
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection

_NOT_ENDED = WORKING | {RunState.PAUSED}


def check_not_read(
    ledger: Ledger, target: BaseDatabaseClient, namespaces: Sequence[Namespace]
) -> None:
    """Raise UsageError when one of the collections is the source of a run that has not ended."""
    found = {namespace: read_collection(target, namespace) for namespace in namespaces}
    uuids = {facts.uuid: name for name, facts in found.items() if facts and facts.uuid}
    for spec in _runs_not_ended(ledger):
        job = spec.data_job
        if not isinstance(job, MigrationJob):
            continue
        one_address = spec.source_fingerprint == target.config.fingerprint
        for pair in job.namespaces:
            by_name = pair.source_uuid is None and one_address and found.get(pair.source)
            if pair.source_uuid in uuids or by_name:
                name = uuids.get(pair.source_uuid or "", pair.source)
                raise UsageError(
                    f"--drop would delete {name}, which run {spec.run_id} reads",
                    f"Wait until that run ends, or stop it: dataworks cancel {spec.run_id}",
                )


def _runs_not_ended(ledger: Ledger) -> Iterator[RunSpec]:
    not_ended = [run_id for run_id, state in ledger.states().items() if state in _NOT_ENDED]
    for run_id in not_ended:
        try:
            yield ledger.spec(run_id)
        except (UnknownName, SpecRefused):
            continue  # forgotten meanwhile, or of a newer version that this one cannot read
