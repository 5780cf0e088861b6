"""The command to type next is one that works in the run's state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from dataworks_tasks.errors import RunFailed, UsageError
from dataworks_tasks.ledger.contract import RunProgress, RunState
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import (
    MigrationJob,
    NamespacePair,
    RepairJob,
    RunSpec,
    VerificationJob,
)
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store import collection_guard
from dataworks_tasks.store.collection_facts import CollectionFacts
from dataworks_tasks.store.collection_guard import CollectionGuard
from dataworks_tasks.store.mongodb import MongoDBAtlasClient
from dataworks_tasks.sync.listed_differences import EXTRA, NOT_OF_THE_RUN
from producer.api.run_and_wait import run_failed
from producer.cli.shared.run_outcome import _next_steps
from producer.resume.rebuild import rebuild_run
from producer.start.check_names import name_problems
from producer.view.differences import DifferenceGroup
from producer.view.next_step import next_steps
from producer.view.run_summary import RunSummary, summarize

ORDERS = Namespace("shop", "orders")
JOB = MigrationJob(
    namespaces=(NamespacePair(source=ORDERS, target=Namespace("shop", "copy")),),
)


def progress(state: RunState, error: str | None = None, failures: int = 0) -> RunProgress:
    return RunProgress(
        *("mig-1", state, 10, 10, 10, 0, {}, failures),
        created_at=datetime.now(UTC),
        finished_at=None,
        last_acknowledged_at=None,
        last_error=error,
    )


def spec_of(job: Any) -> RunSpec:
    return RunSpec(
        run_id="rep-1" if isinstance(job, RepairJob) else "mig-1",
        created_at=datetime.now(UTC),
        batch_size=10,
        target_fingerprint="db:27017",
        job=job,
    )


def summary(job: Any, *outcome: Any) -> RunSummary:
    return summarize(spec_of(job), progress(*outcome))


def guard_error(monkeypatch: pytest.MonkeyPatch, side: str, moved: str | None) -> str:
    """Return what is on record of a run whose collection is another one."""
    uuids = iter("ab")
    monkeypatch.setattr(
        collection_guard,
        "read_collection",
        lambda *_: CollectionFacts("collection", next(uuids), {}),
    )
    monkeypatch.setattr(collection_guard, "name_of_collection", lambda *_: moved)
    client = MongoDBAtlasClient(DatabaseConfig(connection_string="mongodb://localhost:1"))
    guard = CollectionGuard(client, side, None, "")
    guard.check(ORDERS, "a")
    with pytest.raises(RunFailed) as raised:
        guard.check(ORDERS, "a")
    return str(raised.value)


def mentions(lines: Iterable[str], command: str) -> bool:
    return any(f"dataworks {command}" in line for line in lines)


@pytest.mark.parametrize("side", ["source", "target"])
def test_resume_is_not_advised_where_a_new_run_is(
    monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    error = guard_error(monkeypatch, side, moved=None)
    assert "start a new run" in error
    run = summary(JOB, RunState.FAILED, error)
    assert not mentions(next_steps(run), "resume")
    assert not mentions(_next_steps(run, abandoned=False), "resume")
    assert "resume" not in str(run_failed("mig-1", progress(RunState.FAILED, error)))


def test_resume_is_advised_where_it_can_help(monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = guard_error(monkeypatch, "source", moved="other")
    assert "its name back" in renamed
    for outcome in ((RunState.FAILED, renamed), (RunState.FAILED, "Boom"), (RunState.PAUSED,)):
        run = summary(JOB, *outcome)
        assert mentions(next_steps(run), "resume mig-1")
        assert mentions(_next_steps(run, abandoned=False), "resume mig-1")
    assert "resume mig-1" in str(run_failed("mig-1", progress(RunState.FAILED, renamed)))


def test_a_repair_is_neither_verified_nor_retried_nor_rebuilt() -> None:
    job = RepairJob(run_id="mig-1", of=JOB, verification="ver-1", delete_extra=False)
    assert next_steps(summary(job, RunState.COMPLETE)) == (
        "Compare everything: dataworks verify mig-1",
    )
    assert not mentions(next_steps(summary(job, RunState.COMPLETE, None, 3)), "retry")
    with pytest.raises(UsageError, match=r"dataworks verify mig-1 --repair$"):
        rebuild_run(SimpleNamespace(ledger=None), spec_of(job))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kinds", "steps"),
    [
        (["missing at the target"], ["Make them equal with: {} --repair"]),
        ([EXTRA], ["Delete documents that should not be there with: {} --repair --delete-extra"]),
        (
            ["different", NOT_OF_THE_RUN],
            [
                "Correct the documents that should be there with: {} --repair",
                "Delete those that should not be there too with: {} --repair --delete-extra",
            ],
        ),
    ],
)
def test_a_repair_deletes_only_where_that_is_advised(kinds: list[str], steps: list[str]) -> None:
    job = VerificationJob(run_id="mig-1", of=JOB, exclusive=True)
    groups = tuple(DifferenceGroup("shop.copy", kind, count=1) for kind in kinds)
    run = replace(summary(job, RunState.DIFFERENT, None, len(kinds)), differences=groups)
    assert [*_next_steps(run, False)][1:] == [
        step.format("dataworks verify mig-1") for step in steps
    ]


class _Listed:
    """A target with one database."""

    def command(self, _database: str, _command: object) -> dict[str, Any]:
        return {"databases": [{"name": "shop"}]}


@pytest.mark.parametrize(("wanted", "advice"), [("orders", "=..."), ("copy", "=shop.copy")])
def test_the_name_that_is_advised_is_not_a_source(wanted: str, advice: str) -> None:
    pair = NamespacePair(source=ORDERS, target=Namespace("Shop", wanted))
    [problem] = name_problems(_Listed(), [pair])  # type: ignore[arg-type]
    assert f"--map 'shop.orders{advice}'" in problem.remedy


def test_a_run_whose_history_is_lost_needs_a_new_position() -> None:
    """Without it, the run would fail again at once."""
    lost = "follow: the history is gone. Take a new position: dataworks resume mig-1 --resync"
    run = summary(JOB, RunState.FAILED, lost)
    assert [*_next_steps(run, False)] == ["Continue with: dataworks resume mig-1 --resync"]
    assert next_steps(run) == ("Continue: dataworks resume mig-1 --resync",)
    paused = summary(JOB, RunState.PAUSED, lost)
    assert next_steps(paused) == ("Continue: dataworks resume mig-1",)
