"""Migrations in one process: plan, copy and verify without Celery."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import fakeredis
import pytest
from pydantic import SecretStr

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.migrate.migration_work import MigrationWork
from dataworks_tasks.range_work import RangeWork, RunContext
from dataworks_tasks.runs.lease import StopSignal, UnlimitedLease
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec, VerificationJob
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.slicing.split_migration import plan_slices
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_client import create_database_client
from dataworks_tasks.verify.migration import MigrationVerificationWork


@dataclass
class Migration:
    """A database with collections ``source`` and ``target``, and runs between them."""

    source: BaseDatabaseClient
    target: BaseDatabaseClient
    database: str
    batch_size: int = 100
    config: FrameworkConfig = field(default_factory=FrameworkConfig)
    spec_changes: dict[str, Any] = field(default_factory=dict)

    def namespace(self, collection: str) -> Namespace:
        return Namespace(self.database, collection)

    def job(self, **changes: Any) -> MigrationJob:
        pair = NamespacePair(source=self.namespace("source"), target=self.namespace("target"))
        return MigrationJob(**{"namespaces": (pair,), **changes})

    def insert_raw(self, collection: str, documents: Sequence[bytes]) -> None:
        batch = EncodedBatch.of(documents)
        for piece in batch.split(10_000, 16 * 1024 * 1024):
            outcome = self.source.insert(self.namespace(collection), piece, "1")
            assert outcome.written == len(piece), outcome

    def documents(self, collection: str) -> list[bytes]:
        found = self.source.find_raw(self.namespace(collection), {}, sort={"_id": 1})
        return [d for data in found for d in EncodedBatch.parse(data).documents()]

    def context(self, job: MigrationJob | VerificationJob) -> RunContext:
        spec = RunSpec(
            run_id=f"run-{uuid4().hex}",
            created_at=datetime.now(UTC),
            batch_size=self.batch_size,
            write_concern="1",
            target_fingerprint="-",
            job=job,
            **self.spec_changes,
        )
        ledger = RedisLedger(fakeredis.FakeRedis())
        ledger.create(spec, None)
        assert isinstance(spec.data_job, MigrationJob)
        for group in plan_slices(self.source, spec.data_job, self.batch_size):
            end = ledger.plan_end(spec.run_id)
            ledger.append_slices(spec.run_id, end, group.slices, group.documents)
        ledger.close_plan(spec.run_id, ledger.plan_end(spec.run_id))
        return RunContext(spec, self.config, ledger, self.target, self.source)

    def run(
        self, work: RangeWork, context: RunContext, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        """Run the gaps and acknowledge the results, until all are done or ``stopped``."""
        run_id, ledger = context.spec.run_id, context.ledger
        stop = StopSignal(time.monotonic() + 60, stopped)
        for gap in list(ledger.gaps(run_id)):
            for part in work.run(gap, stop):
                part.record(ledger, run_id)

    def work_through(self, work: RangeWork, context: RunContext) -> Mapping[str, int]:
        """Run every gap, acknowledge, finish; return the counters."""
        run_id, ledger = context.spec.run_id, context.ledger
        self.run(work, context)
        assert not list(ledger.gaps(run_id))
        assert work.finish(UnlimitedLease())
        work.close()
        return Counter(ledger.progress(run_id).counters)

    def copy(self, job: MigrationJob | None = None) -> Mapping[str, int]:
        context = self.context(job or self.job())
        return self.work_through(MigrationWork(context), context)

    def verify(
        self, job: MigrationJob | None = None, exclusive: bool = True
    ) -> tuple[Mapping[str, int], list[DocumentFailure]]:
        of = job or self.job()
        context = self.context(VerificationJob(run_id="-", of=of, exclusive=exclusive))
        counters = self.work_through(MigrationVerificationWork(context), context)
        return counters, list(context.ledger.failures(context.spec.run_id))


@pytest.fixture
def migration(mongodb_url: str, database_name: str) -> Iterator[Migration]:
    """Yield a migration within this test's own database."""
    config = DatabaseConfig(connection_string=SecretStr(mongodb_url))
    with create_database_client(config) as source, create_database_client(config) as target:
        yield Migration(source, target, database_name)
