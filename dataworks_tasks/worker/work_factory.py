"""Create the work that a run's ranges need from its spec."""

from __future__ import annotations

from collections.abc import Sequence

from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.generate.fingerprint import check_document_fingerprint
from dataworks_tasks.generate.generation_work import GenerationWork, PartSource
from dataworks_tasks.generate.sources import part_sources
from dataworks_tasks.migrate.masking import check_masks
from dataworks_tasks.migrate.migration_work import MigrationWork
from dataworks_tasks.range_work import RangeWork, RunContext
from dataworks_tasks.runs.spec import GenerationJob, MigrationJob, RunKind
from dataworks_tasks.sync.follow_work import FollowWork
from dataworks_tasks.sync.repair_work import RepairWork
from dataworks_tasks.verify.generation import GenerationVerificationWork
from dataworks_tasks.verify.migration import MigrationVerificationWork


def create_work(context: RunContext, generators: Sequence[BaseDataGenerator] = ()) -> RangeWork:
    """Create the work for the run of ``context``.

    Raises SpecRefused if this process must not do it. ``generators`` are those that this process
    registered in its own code.
    """
    kind = context.spec.kind
    verifies = kind is RunKind.VERIFICATION
    match context.spec.data_job:
        case GenerationJob() as job:
            sources = _checked_sources(context, job, generators)
            if kind is RunKind.REPAIR:
                return RepairWork(context, sources)
            if verifies:
                return GenerationVerificationWork(context, sources)
            return GenerationWork(context, sources)
        case MigrationJob() as job:
            check_masks(job)
            if kind is RunKind.REPAIR:
                return RepairWork(context)
            if kind is RunKind.MIGRATION and job.follow is not None:
                return FollowWork(context)
            return MigrationVerificationWork(context) if verifies else MigrationWork(context)


def _checked_sources(
    context: RunContext, job: GenerationJob, generators: Sequence[BaseDataGenerator]
) -> tuple[PartSource, ...]:
    sources = part_sources(job, context.config.plugins, generators)
    check_document_fingerprint(job, [(source.documents, source.part.count) for source in sources])
    return sources
