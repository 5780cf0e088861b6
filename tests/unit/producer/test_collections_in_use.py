"""``--drop`` spares what a run that has not ended still reads or writes, whatever its kind."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import fakeredis
import pytest

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import WORKING, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import (
    GenerationJob,
    GenerationPart,
    Job,
    MigrationJob,
    NamespacePair,
    RepairJob,
    RunSpec,
    VerificationJob,
)
from dataworks_tasks.store.client import BaseDatabaseClient
from producer.start.collections_in_use import check_not_in_use

READ = Namespace("shop", "orders")
COPY = MigrationJob(
    namespaces=(NamespacePair(source=READ, target=Namespace("copy", "orders"), source_uuid="07"),)
)
READERS = [
    COPY,
    VerificationJob(run_id="mig-1", of=COPY, exclusive=True),
    RepairJob(run_id="mig-1", of=COPY, verification="ver-1", delete_extra=False),
]


class _Target:
    """A server that has ``shop.orders`` only."""

    config = SimpleNamespace(fingerprint="db:27017")

    def command(self, database: str, command: dict[str, Any]) -> dict[str, Any]:
        found = [{"name": "orders", "type": "collection", "info": {"uuid": b"\7"}}]
        is_there = (database, command["filter"]) == ("shop", {"name": "orders"})
        return {"cursor": {"firstBatch": found if is_there else []}}


TARGET = cast("BaseDatabaseClient", _Target())


def ledger_with(job: Job, target: str = "other:27017") -> RedisLedger:
    ledger = RedisLedger(fakeredis.FakeRedis())
    spec = RunSpec(
        run_id="mig-2",
        created_at=datetime.now(UTC),
        batch_size=10,
        source_fingerprint="db:27017",
        target_fingerprint=target,
        job=job,
    )
    ledger.create(spec, None)
    return ledger


@pytest.mark.parametrize("job", READERS, ids=lambda job: str(job.kind))
def test_the_source_of_a_run_that_has_not_ended_is_spared(job: Job) -> None:
    ledger = ledger_with(job)
    with pytest.raises(UsageError, match=r"would delete shop\.orders, which run mig-2 reads"):
        check_not_in_use(ledger, TARGET, [READ])
    check_not_in_use(ledger, TARGET, [Namespace("shop", "others")])
    assert ledger.change_state("mig-2", WORKING, RunState.CANCELLED)
    check_not_in_use(ledger, TARGET, [READ])


FILLED = GenerationPart(namespace=READ, position=0, first=0, count=9, uuid="07")
COPIED = NamespacePair(source=Namespace("a", "b"), target=READ)
WRITERS: list[Job] = [
    GenerationJob(name="t", seed=1, parts=(FILLED,), probe_digest="-"),
    MigrationJob(namespaces=(COPIED,)),
    RepairJob(
        run_id="mig-1",
        of=MigrationJob(namespaces=(COPIED,)),
        verification="ver-1",
        delete_extra=False,
    ),
]


@pytest.mark.parametrize("job", WRITERS, ids=lambda job: str(job.kind))
def test_the_target_of_a_run_at_work_is_spared(job: Job) -> None:
    ledger = ledger_with(job, target="db:27017")
    with pytest.raises(UsageError, match=r"would delete shop\.orders, which run mig-2 writes into"):
        check_not_in_use(ledger, TARGET, [READ])
    assert ledger.change_state("mig-2", WORKING, RunState.PAUSED)
    check_not_in_use(ledger, TARGET, [READ])


def test_a_verification_does_not_keep_its_target() -> None:
    job = VerificationJob(run_id="mig-1", of=MigrationJob(namespaces=(COPIED,)), exclusive=True)
    check_not_in_use(ledger_with(job, target="db:27017"), TARGET, [READ])


def test_the_states_of_all_runs_are_read_in_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger with a thousand runs would delay each start with ``--drop`` by their round trips."""
    ledger = ledger_with(COPY)
    monkeypatch.setattr(ledger, "state", lambda run_id: pytest.fail(f"asked for {run_id} alone"))
    check_not_in_use(ledger, TARGET, [Namespace("shop", "other")])
