"""From a run's spec to the work that its ranges need."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from dataworks_tasks.errors import SettingsError, SpecRefused
from dataworks_tasks.generate.generation_work import GenerationWork, PartSource
from dataworks_tasks.generate.probe import check_probe
from dataworks_tasks.generate.sources import part_sources
from dataworks_tasks.migrate.masking import check_masks
from dataworks_tasks.migrate.migration_work import MigrationWork
from dataworks_tasks.range_work import RangeWork, RunContext
from dataworks_tasks.runs.spec import GenerationJob, MigrationJob, RunSpec, VerificationJob
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.verify.generation import GenerationVerificationWork
from dataworks_tasks.verify.migration import MigrationVerificationWork


def create_work(context: RunContext) -> RangeWork:
    """The work for the run of ``context``; raises SpecRefused when this process must not do it."""
    job = context.spec.job
    of = job.of if isinstance(job, VerificationJob) else job
    return _WORKS[type(job), type(of)](context, of)


def _generation(context: RunContext, job: GenerationJob | MigrationJob) -> RangeWork:
    return GenerationWork(context, _checked_sources(context, cast("GenerationJob", job)))


def _generation_check(context: RunContext, job: GenerationJob | MigrationJob) -> RangeWork:
    sources = _checked_sources(context, cast("GenerationJob", job))
    return GenerationVerificationWork(context, sources)


def _checked_sources(context: RunContext, job: GenerationJob) -> tuple[PartSource, ...]:
    sources = part_sources(job, context.config.plugins, context.generators)
    check_probe(job, [(source.documents, source.part.count) for source in sources])
    return sources


def _migration(context: RunContext, job: GenerationJob | MigrationJob) -> RangeWork:
    check_masks(cast("MigrationJob", job))
    return MigrationWork(context)


def _migration_check(context: RunContext, job: GenerationJob | MigrationJob) -> RangeWork:
    check_masks(cast("MigrationJob", job))
    return MigrationVerificationWork(context)


_WORKS: dict[tuple[type, type], Callable[[RunContext, GenerationJob | MigrationJob], RangeWork]] = {
    (GenerationJob, GenerationJob): _generation,
    (MigrationJob, MigrationJob): _migration,
    (VerificationJob, GenerationJob): _generation_check,
    (VerificationJob, MigrationJob): _migration_check,
}


def check_fingerprints(spec: RunSpec, config: FrameworkConfig) -> None:
    """Raise SpecRefused when this process reaches other servers than the run is meant for."""
    _check_side("target", spec.target_fingerprint, config.target)
    if spec.source_fingerprint is not None:
        _check_side("source", spec.source_fingerprint, config.source)


def _check_side(side: str, meant: str, config: DatabaseConfig | None) -> None:
    setting = f"FRAMEWORK_{side.upper()}_DB_CONNECTION_STRING"
    if config is None:
        raise SettingsError(f"no {side} database is set", f"Set {setting} for this process")
    if config.fingerprint != meant:
        raise SpecRefused(
            f"the run's {side} is {meant}, this process reaches {config.fingerprint}",
            f"Set {setting} to the run's servers on this machine and restart the worker",
        )
