"""Runs to test the ledger with."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from dataworks_tasks.ledger.contract import RangeResult
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import (
    GenerationJob,
    GenerationPart,
    MigrationJob,
    NamespacePair,
    RunSpec,
)

TOTAL = 60
NOTHING = RangeResult({})


def generation_spec(count: int) -> RunSpec:
    """Return a generation run of its own."""
    part = GenerationPart(namespace=Namespace("shop", "orders"), position=0, first=0, count=count)
    job = GenerationJob(name="test", seed=7, parts=(part,), probe_digest="-")
    return _spec(f"gen-test-{uuid4().hex}", job)


def migration_spec() -> RunSpec:
    """Return a migration run of its own."""
    pair = NamespacePair(source=Namespace("a", "b"), target=Namespace("c", "d"))
    return _spec(f"mig-test-{uuid4().hex}", MigrationJob(namespaces=(pair,)))


def _spec(run_id: str, job: GenerationJob | MigrationJob) -> RunSpec:
    return RunSpec(
        run_id=run_id,
        created_at=datetime.now(UTC),
        batch_size=10,
        target_fingerprint="db:27017",
        source_fingerprint="db:27017",
        job=job,
    )


def counted(size: int) -> RangeResult:
    """Return the result of a range of ``size`` documents."""
    return RangeResult({"documents": size, "bytes": 10 * size})
