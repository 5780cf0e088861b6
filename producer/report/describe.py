"""The request of a run, as rows for people."""

from __future__ import annotations

from collections.abc import Iterator

from dataworks_tasks.migrate.rules import rules_of
from dataworks_tasks.numerals import counted, plain
from dataworks_tasks.runs.bounds import MAX_DOCUMENTS
from dataworks_tasks.runs.choices import OnError
from dataworks_tasks.runs.namespace import series_of_buckets
from dataworks_tasks.runs.spec import (
    GenerationJob,
    MigrationJob,
    RepairJob,
    RunSpec,
    VerificationJob,
)

Row = tuple[str, str]
_MOST_NAMES = 200


def described_spec(spec: RunSpec) -> tuple[Row, ...]:
    """Return names and values of the run's request; servers by host name only."""
    return tuple((name, value) for name, value in _rows(spec) if value)


def _rows(spec: RunSpec) -> Iterator[Row]:
    job = spec.job
    if isinstance(job, VerificationJob | RepairJob):
        yield "verifies" if isinstance(job, VerificationJob) else "repairs", job.run_id
        yield from _data_rows(job.of)
    else:
        yield from _data_rows(job)
    yield "source", spec.source_fingerprint or ""
    yield "target", spec.target_fingerprint
    yield "batch size", f"{counted(spec.batch_size, 'document')}"
    if not isinstance(job, VerificationJob):
        yield "write concern", spec.write_concern
        most = (
            "the first ends the run"
            if spec.on_error is OnError.STOP
            else (f"{spec.on_error}, at most {spec.max_failures:,}")
        )
        yield "documents that cannot be written", most
    elif spec.max_failures < MAX_DOCUMENTS:
        yield "stops at", f"more than {counted(spec.max_failures, 'difference')}"
    yield "limit", f"{plain(spec.max_rate)} documents/s" if spec.max_rate else ""
    yield "request units", f"{plain(spec.max_ru)} RU/s" if spec.max_ru else ""


def _data_rows(job: GenerationJob | MigrationJob) -> Iterator[Row]:
    if isinstance(job, GenerationJob):
        yield "template", job.name
        yield "seed", str(job.seed)
        yield "digest of sample documents", job.probe_digest
        names = [f"{part.namespace}: {counted(part.count, 'document')}" for part in job.parts]
    else:
        names = [
            f"{series_of_buckets(pair.source)} to {series_of_buckets(pair.target)}"
            for pair in job.namespaces
        ]
        yield "strategy", job.strategy
        yield "filter", job.filter or ""
        for number, rule in enumerate(rules_of(job.transform), 1):
            yield f"rule {number}", str(rule)
        yield "conflicts", job.on_conflict.value
        yield "indexes", job.indexes.value
        yield "digest of masked values", job.mask_digest
    yield "collections", ", ".join(names[:_MOST_NAMES])
