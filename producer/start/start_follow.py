"""Whether a migration can follow its source, and from which position."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from bson.json_util import loads

from dataworks_tasks.errors import DataWorksError, RightMissing, UsageError
from dataworks_tasks.migrate.collection_options import read_options
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.runs.choices import IndexPolicy, OnDdl
from dataworks_tasks.runs.spec import ClaimTimes, FollowPart, MigrationJob, StartPosition
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.database import DatabaseType
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.sync.follow_place import FollowPlace
from dataworks_tasks.sync.open_changes import (
    Followed,
    has_bounded_reads,
    has_deletes,
    open_changes,
)
from producer.start.run_request import MigrationRequest

_CLOCKS = ("$where", "$rand", "$sampleRate", "$function")
_VARIABLES = ("$$NOW", "$$CLUSTER_TIME")


def follow_part(
    source: BaseDatabaseClient,
    job: MigrationJob,
    request: MigrationRequest,
    config: FrameworkConfig,
    clock: Callable[[], float],
) -> FollowPart:
    """Return where the run begins to follow: a position before its first slice.

    Raises UsageError for a source, a target or a job that cannot be followed; writes nothing.
    """
    _check_request(job, request)
    return follow_from(source, job, OnDdl(request.on_ddl), config, clock)


def follow_from(
    source: BaseDatabaseClient,
    job: MigrationJob,
    on_ddl: OnDdl,
    config: FrameworkConfig,
    clock: Callable[[], float],
    at: FollowPlace | None = None,
) -> FollowPart:
    """Follow the job's collections from the position ``at``, or from now.

    Raises UsageError for a source, a target or a job that cannot be followed, and HistoryLost when
    the source's history does not reach back to ``at``; writes nothing.
    """
    _check_servers(source)
    _check_job(source, job)
    database, opened = _open(source, job, at, clock)
    begin = at or opened
    bounded = has_bounded_reads(source)
    return FollowPart(
        position=StartPosition(
            token=begin.token.hex(), seconds=begin.time.time, increment=begin.time.inc
        ),
        stale_seconds=0 if bounded else config.stale_read_seconds,
        delete_scan_seconds=0 if has_deletes(source) else config.delete_scan_seconds,
        nonce=secrets.token_hex(8),
        database=database,
        on_ddl=on_ddl,
        claims=ClaimTimes(seconds=config.claim_seconds, late_seconds=config.late_write_seconds),
    )


def _check_servers(source: BaseDatabaseClient) -> None:
    if source.db_type in (DatabaseType.COSMOS_DB, DatabaseType.AZURE_DOCUMENTDB):
        return
    if not source.capabilities.majority_reads:
        raise UsageError(
            "the source is a standalone server: it has no change streams to follow",
            "Restart it with --replSet NAME and run rs.initiate(), or copy without --follow and "
            "repair: dataworks verify RUN --live --repair",
        )


def _check_request(job: MigrationJob, request: MigrationRequest) -> None:
    if request.options.append:
        raise UsageError(
            "--follow needs its own target: it deletes what the source does not have",
            "Leave --append out; --drop empties the target collections first",
        )
    if job.indexes is IndexPolicy.BEFORE:
        raise UsageError(
            "--follow builds unique and TTL indexes at the cut-over, not before",
            "Leave --indexes before out",
        )


def _check_job(source: BaseDatabaseClient, job: MigrationJob) -> None:
    if MigrationStrategyFactory.create(job.strategy).resume_field != "_id":
        raise UsageError(
            f"the strategy {job.strategy!r} does not read along _id, so it cannot be followed",
            "Leave --strategy out",
        )
    if any(pair.id_from for pair in job.namespaces):
        raise UsageError("--follow needs the same _id on both sides", "Leave --id-from out")
    _check_filter(job.filter)
    for pair in job.namespaces:
        options = read_options(source, pair.source) or {}
        kind = next((name for name in ("timeseries", "capped") if options.get(name)), None)
        if kind or pair.source.collection.startswith("system."):
            shown = {"timeseries": "a time series", "capped": "capped"}.get(kind or "", "internal")
            raise UsageError(
                f"{pair.source} is {shown}: it cannot be followed",
                f"Leave it out: --exclude {pair.source}, and copy it in a run of its own",
            )


def _check_filter(text: str | None) -> None:
    """Refuse filters whose result can change without a write."""
    if text is None:
        return
    names = set(_names(loads(text)))
    found = next((name for name in (*_CLOCKS, *_VARIABLES) if name in names), None)
    if found is not None:
        raise UsageError(
            f"--filter uses {found}: whether a document matches may change without an event",
            "Compare with a fixed value",
        )


def _names(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(name for each in value.values() for name in _names(each))]
    if isinstance(value, list):
        return [name for each in value for name in _names(each)]
    return [value] if isinstance(value, str) else []


def _open(
    source: BaseDatabaseClient,
    job: MigrationJob,
    at: FollowPlace | None,
    clock: Callable[[], float],
) -> tuple[str | None, FollowPlace]:
    """Return the stream that the user may open: the deployment's, or that of one database."""
    databases = sorted({pair.source.database for pair in job.namespaces})
    refusal: DataWorksError | None = None
    for database in (None, databases[0]) if len(databases) == 1 else (None,):
        try:
            followed = Followed(source, job.namespaces, database, clock)
            token, time = (at.token, at.time) if at else (None, None)
            with open_changes(followed, token, time) as reader:
                captured = reader.read(1, 0)
            return database, FollowPlace(captured.token, captured.time)
        except (RightMissing, UsageError) as error:
            refusal = error
    grant = json.dumps({"role": "readAnyDatabase", "db": "admin"})
    if len(databases) == 1:
        grant = json.dumps({"role": "read", "db": databases[0]})
    raise UsageError(
        f"the source's user may not read its change stream: {refusal.fact if refusal else ''}",
        f"Grant it: db.grantRolesToUser(USER, [{grant}])",
    )
