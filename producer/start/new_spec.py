"""The spec of a run that starts now."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.bounds import MAX_BATCH_SIZE, WRITE_CONCERN
from dataworks_tasks.runs.choices import Priority
from dataworks_tasks.runs.run_id import new_run_id
from dataworks_tasks.runs.spec import GenerationJob, MigrationJob, RunSpec
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_guard import server_process
from producer.start.run_request import RunOptions


def new_spec(
    job: GenerationJob | MigrationJob,
    options: RunOptions,
    config: FrameworkConfig,
    target: BaseDatabaseClient,
    source: BaseDatabaseClient | None = None,
) -> RunSpec:
    """Create the spec of a new run; options that are not given come from the settings.

    Raises UsageError for an invalid write concern or batch size, and for request units of a source
    that does not count them.
    """
    write_concern = options.write_concern or config.write_concern
    if not re.fullmatch(WRITE_CONCERN, write_concern):
        raise UsageError(
            f"{write_concern!r} is not a write concern", "Give majority, or a number of nodes"
        )
    batch_size = config.batch_aggregation_size if options.batch_size is None else options.batch_size
    if not 1 <= batch_size <= MAX_BATCH_SIZE:
        raise UsageError(
            f"{batch_size:,} is not a batch size", f"Give a number from 1 to {MAX_BATCH_SIZE:,}"
        )
    max_ru, source_max_ru = request_unit_limits(
        options.max_ru, options.source_max_ru, target, source
    )
    return RunSpec(
        run_id=new_run_id(job.kind),
        created_at=datetime.now(UTC),
        batch_size=batch_size,
        write_concern=write_concern,
        on_error=options.on_error,
        max_failures=options.max_failures,
        max_rate=options.max_rate,
        max_ru=max_ru,
        source_max_ru=source_max_ru,
        priority=None if options.priority is Priority.NORMAL else options.priority,
        max_processes=options.max_processes,
        append=options.append,
        source_fingerprint=source.config.fingerprint if source else None,
        target_fingerprint=target.config.fingerprint,
        source_server=server_process(source) if source else None,
        target_server=server_process(target),
        job=job,
    )


def request_unit_limits(
    max_ru: float | None,
    source_max_ru: float | None,
    target: BaseDatabaseClient,
    source: BaseDatabaseClient | None,
) -> tuple[float | None, float | None]:
    """Return the RU/s of the target and of the source.

    If only the source has request units, ``--max-ru`` means the source.
    """
    source_counts = source is not None and source.capabilities.request_charge
    if source_max_ru is not None and not source_counts:
        raise UsageError(
            "the source is not a Cosmos DB account, so reading from it costs no request units",
            "Leave --source-max-ru out",
        )
    one_account = source is not None and source.config.fingerprint == target.config.fingerprint
    if source_max_ru is not None and one_account:
        raise UsageError(
            "source and target are the same account, so reading and writing share one budget",
            "Give --max-ru instead of --source-max-ru",
        )
    if source_counts and not target.capabilities.request_charge:
        return None, source_max_ru or max_ru
    return max_ru, source_max_ru
