"""The spec of a run that starts now."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dataworks_tasks.errors import UsageError
from dataworks_tasks.run_spec import GenerationJob, MigrationJob, RunSpec, new_run_id
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from producer.run_request import RunOptions

_WRITE_CONCERN = re.compile("majority|[1-9][0-9]?")


def new_spec(
    job: GenerationJob | MigrationJob,
    options: RunOptions,
    config: FrameworkConfig,
    target: BaseDatabaseClient,
    source: BaseDatabaseClient | None = None,
) -> RunSpec:
    """The job with its id, the options (the settings where they say nothing) and the servers.

    Raises UsageError for a write concern that is none.
    """
    write_concern = options.write_concern or config.write_concern
    if not _WRITE_CONCERN.fullmatch(write_concern):
        raise UsageError(
            f"{write_concern!r} is not a write concern", "Give majority, or a number of nodes"
        )
    return RunSpec(
        run_id=new_run_id(job.kind),
        created_at=datetime.now(UTC),
        batch_size=options.batch_size or config.batch_aggregation_size,
        write_concern=write_concern,
        on_error=options.on_error,
        max_failures=options.max_failures,
        max_rate=options.max_rate,
        max_ru=options.max_ru,
        append=options.append,
        source_fingerprint=source.config.fingerprint if source else None,
        target_fingerprint=target.config.fingerprint,
        job=job,
    )
