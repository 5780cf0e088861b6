"""Assess a migration before it begins: what will not arrive unchanged, and the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from dataworks_tasks.errors import RightMissing, SettingsError, TerminalError, UsageError
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.choices import OnConflict
from dataworks_tasks.runs.namespace import Namespace, series_of_buckets
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from producer.connections import Connections
from producer.doctor.database_rights import READING, WRITING, missing_rights
from producer.estimate.collection_concerns import (
    name_concerns,
    option_concerns,
    read_pair,
    selection_concerns,
)
from producer.estimate.concern import Concern
from producer.estimate.document_concerns import document_concerns, large_documents
from producer.estimate.following import FollowOutlook, follow_outlook
from producer.estimate.index_concerns import expiry_concerns, index_concerns
from producer.estimate.measured_copy import CopySite
from producer.estimate.migration_estimate import MigrationEstimate, estimate_migration
from producer.estimate.migration_time import MigrationTime, measure_time
from producer.sampling.source_sample import sample_collection
from producer.start.check_filter import check_filter
from producer.start.check_repeated_ids import check_repeated_ids
from producer.start.check_rules import check_rules, check_time_series
from producer.start.check_target_series import check_target_series
from producer.start.check_unique_ids import check_unique_ids
from producer.start.run_request import MigrationRequest
from producer.start.separate_collections import check_separate
from producer.start.start_follow import follow_part
from producer.start.start_generation import check_targets
from producer.start.start_migration import MigrationPlan, plan_migration


@dataclass(frozen=True, slots=True)
class Measuring:
    """For how many seconds to measure, whether writing too, and for how many processes."""

    seconds: float = 3.0
    write: bool = False
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known about a migration before it begins.

    ``separate``: source and target are known to be different collections; otherwise the run finds
    out. ``following``: None if the run does not follow its source, or would be refused for that.
    """

    estimate: MigrationEstimate
    concerns: tuple[Concern, ...]
    time: MigrationTime
    separate: bool
    following: FollowOutlook | None = None


def assess(connections: Connections, request: MigrationRequest, measuring: Measuring) -> Assessment:
    """Plan the migration, look for what will not arrive unchanged, and measure how long it takes.

    Reads both servers. Writes nothing, unless ``measuring`` says so: then a sample, into a
    collection of its own, which is dropped. Raises UsageError if there is nothing to assess, or a
    target collection is a source collection.
    """
    config = connections.config
    plan = plan_migration(request, config, connections)
    source, target = connections.source, connections.target
    separate = check_separate(
        source,
        target,
        plan.job.namespaces,
        different_servers=request.different_servers,
        may_write=False,
    )
    concerns = list(concerns_of(connections, request, plan))
    readable = _without(plan.job, {item.namespace for item in concerns if item.namespace})
    slice_documents = request.options.batch_size or config.batch_aggregation_size
    estimate = estimate_migration(source, target, readable, slice_documents)
    concerns += _conflicts(estimate, request)
    site = CopySite(source, target, readable, config, request.options.layout, slice_documents)
    limit = request.options.max_rate
    try:
        needed = _measure(site, estimate, measuring, limit)
    except (TerminalError, RightMissing) as error:
        if not measuring.write:
            raise
        remedy = error.remedy or "Leave --write-sample out"
        concerns.append(Concern("the sample", f"it could not be written: {error.fact}", remedy))
        needed = _measure(site, estimate, replace(measuring, write=False), limit)
    following = None
    if request.follow:
        following = follow_outlook(connections, request, readable, needed.seconds)
        concerns += following.concerns() if following else ()
    return Assessment(estimate, tuple(concerns), needed, separate, following)


def _measure(
    site: CopySite, estimate: MigrationEstimate, measuring: Measuring, limit: float | None
) -> MigrationTime:
    workers, seconds = measuring.workers, measuring.seconds
    return measure_time(site, estimate, workers, seconds, write=measuring.write, limit=limit)


def _conflicts(estimate: MigrationEstimate, request: MigrationRequest) -> Iterator[Concern]:
    """Yield a concern about documents that the target has with other contents."""
    if request.options.drop or not request.options.append:
        return
    done = {
        OnConflict.FAIL: "each is recorded as a failure",
        OnConflict.REPLACE: "they are replaced by the source's",
        OnConflict.SKIP: "they stay, and the source's are left out",
    }[request.on_conflict]
    for item in estimate.namespaces:
        if item.conflicts:
            yield Concern(
                f"about {counted(item.conflicts, 'document')} of {item.pair.source}",
                f"{item.pair.target} holds other documents with the same _id: {done}",
                "Choose what happens to them: --on-conflict fail, replace or skip",
            )


def _without(job: MigrationJob, unreadable: Collection[Namespace]) -> MigrationJob:
    """Return the job without the collections that cannot be read."""
    pairs = tuple(pair for pair in job.namespaces if pair.source not in unreadable)
    return job.model_copy(update={"namespaces": pairs})


def concerns_of(
    connections: Connections, request: MigrationRequest, plan: MigrationPlan
) -> Iterator[Concern]:
    """Yield what will not arrive unchanged. Reads both servers; writes nothing."""
    source, target = connections.source, connections.target
    names = list(name_concerns(target, plan.job.namespaces))
    unreadable = {concern.namespace for concern in names if concern.namespace is not None}
    # A check would end at a collection that cannot be read, and skip the others.
    yield from _refusals(connections, request, _without(plan.job, unreadable))
    yield from selection_concerns(target, plan.selection, views=request.views)
    yield from names
    yield from _rights(source, "source", READING, {p.source.database for p in plan.job.namespaces})
    yield from _rights(target, "target", WRITING, {p.target.database for p in plan.job.namespaces})
    for pair in plan.job.namespaces:
        if pair.source in unreadable:
            continue
        try:
            yield from list(_collection(connections, request, plan, pair))
        except (TerminalError, SettingsError) as error:
            yield Concern(
                str(series_of_buckets(pair.source)),
                f"it cannot be read: {error.fact}",
                error.remedy or f"Leave it out: --exclude '{series_of_buckets(pair.source)}'",
                refused=True,
                namespace=pair.source,
            )


def _refusals(
    connections: Connections, request: MigrationRequest, job: MigrationJob
) -> Iterator[Concern]:
    """Yield what would prevent the run."""
    source, target = connections.source, connections.target
    pairs, drop = job.namespaces, request.options.drop
    checks: list[Callable[[], object]] = [
        lambda: check_time_series(job),
        lambda: check_filter(job),
        lambda: check_targets(target, [pair.target for pair in pairs], request.options),
        lambda: check_rules(source, job),
        lambda: check_repeated_ids(source, target, job, request.options.layout.shard_key),
    ]
    if request.follow:
        checks.append(lambda: follow_part(source, job, request, connections.config, time.time))
    if not drop:
        checks.append(lambda: check_unique_ids(target, [pair.target for pair in pairs]))
        checks.append(lambda: check_target_series(source, target, pairs))
    for check in checks:
        try:
            check()
        except UsageError as error:
            yield Concern("the run", error.fact, error.remedy, refused=True)
        except TerminalError:
            continue  # of a collection that cannot be read; it has its own line


def _rights(
    client: BaseDatabaseClient, side: str, wanted: frozenset[str], databases: set[str]
) -> Iterator[Concern]:
    role = "read" if side == "source" else "readWrite"
    for database in sorted(databases):
        missing = missing_rights(client, database, "", wanted)
        if missing:
            yield Concern(
                f"{database} at the {side}",
                f"the user may not {', '.join(sorted(missing))}",
                f"Give the user the role {role} on {database}",
                refused=True,
            )


def _collection(
    connections: Connections,
    request: MigrationRequest,
    plan: MigrationPlan,
    pair: NamespacePair,
) -> Iterator[Concern]:
    source, target, drop = connections.source, connections.target, request.options.drop
    found = read_pair(source, target, pair)
    shard_key = request.options.layout.shard_key
    if shard_key is None and not drop:
        shard_key = target.shard_key(pair.target)
    sample = sample_collection(source, pair.source).documents
    yield from option_concerns(found, target, drop=drop)
    yield from index_concerns(source, target, plan.job, pair, shard_key, drop=drop)
    yield from expiry_concerns(source, target, plan.job, found, sample, drop=drop)
    yield from document_concerns(target, plan.job, pair, sample, shard_key)
    yield from large_documents(source, target, pair.source)
