"""A name that is used again for something else is refused, whichever flag differs."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import (
    GenerationJob,
    GenerationPart,
    MigrationJob,
    NamespacePair,
    RunSpec,
)
from dataworks_tasks.settings import FrameworkConfig
from producer.connections import Connections
from producer.resume.named_run import find_named_run
from producer.start.run_request import GenerationRequest, MigrationRequest, RunOptions

NIGHTLY = RunOptions(run_name="nightly")


def found(job: GenerationJob | MigrationJob, request: Any) -> RunSpec | None:
    spec = RunSpec(
        run_id="run-1", created_at=datetime.now(UTC), batch_size=1, target_fingerprint="-", job=job
    )
    ledger = SimpleNamespace(
        named_run=lambda name: "run-1" if name == "nightly" else None,
        spec=lambda _run: spec,
        state=lambda _run: RunState.RUNNING,
    )
    connections = SimpleNamespace(ledger=ledger, config=FrameworkConfig())
    return find_named_run(cast("Connections", connections), request)


def generation() -> GenerationJob:
    part = GenerationPart(namespace=Namespace("shop", "orders"), position=0, first=0, count=10)
    return GenerationJob(name="sensors", seed=7, parts=(part,), probe_digest="-")


def copy() -> MigrationJob:
    pair = NamespacePair(source=Namespace("a", "b"), target=Namespace("c", "d"))
    return MigrationJob(namespaces=(pair,), include=("a.b",), renames=(("a.b", "c.d"),))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"total": 10, "database": "shop", "collection": "orders", "seed": 7}, ""),
        ({"options": RunOptions(run_name="nightly", max_rate=5, drop=True)}, ""),
        ({"what": "service_order"}, "generates documents of sensors, not service_order"),
        ({"total": 20}, "generates 10 documents, not 20"),
        ({"database": "other"}, "writes to the database shop, not other"),
        ({"collection": "other"}, "writes to the collection orders, not other"),
        ({"seed": 8}, "has the seed 7, not 8"),
    ],
)
def test_a_generation_of_that_name_is_the_same(changes: dict[str, Any], words: str) -> None:
    request = GenerationRequest(**{"what": "sensors", "options": NIGHTLY, **changes})
    check(generation(), request, words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"include": ("a.other",)}, "copies a.b, not a.other"),
        ({"to": "c.other"}, "writes to a.b=c.d, not a.b=c.other"),
        ({"exclude": ("a.x",)}, "leaves out nothing, not a.x"),
        ({"strategy": "mine"}, "has the strategy default, not mine"),
        ({"follow": True}, "is a copy that ends, not one that follows its source"),
    ],
)
def test_a_migration_of_that_name_is_the_same(changes: dict[str, Any], words: str) -> None:
    usual = {"include": ("a.b",), "to": "c.d", "options": NIGHTLY}
    check(copy(), MigrationRequest(**{**usual, **changes}), words)


def test_a_run_of_another_kind_is_refused() -> None:
    check(copy(), GenerationRequest("sensors", options=NIGHTLY), "is a migration")


def test_a_name_that_nobody_has_is_free() -> None:
    assert found(copy(), GenerationRequest("x", options=RunOptions(run_name="new"))) is None


def check(job: GenerationJob | MigrationJob, request: Any, words: str) -> None:
    if not words:
        assert found(job, request) is not None
        return
    with pytest.raises(UsageError) as caught:
        found(job, request)
    assert words in caught.value.fact
