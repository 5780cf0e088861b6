"""Check a migration request against both servers, then record the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.run_note import NoteTopic
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.migrate.masking import mask_digest
from dataworks_tasks.migrate.route import document_change, parsed_filter
from dataworks_tasks.plugins import load_plugins
from dataworks_tasks.runs.namespace import series_of_buckets
from dataworks_tasks.runs.reproducibility import versions
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from producer.connections import Connections
from producer.start.check_filter import check_filter
from producer.start.check_names import check_names
from producer.start.check_repeated_ids import check_id_from, check_repeated_ids, with_id_from
from producer.start.check_rules import check_rules, check_time_series
from producer.start.check_target_series import check_target_series
from producer.start.check_unique_ids import check_unique_ids
from producer.start.claimed_targets import claimed_targets
from producer.start.collections_in_use import check_not_in_use
from producer.start.copy_collections import (
    create_views,
    prepare_collections,
    say_what_is_lost,
)
from producer.start.dropped_collection import describe_collection
from producer.start.history_window import warn_of_short_history
from producer.start.index_entries import with_copied_indexes
from producer.start.left_out import views_to_define, what_is_left_out
from producer.start.namespace_selection import (
    NamespaceSelection,
    SelectionRequest,
    select_namespaces,
)
from producer.start.new_spec import new_spec
from producer.start.note_similar_fields import similar_field_notes
from producer.start.record_run import record_run
from producer.start.resume_field import check_resume_field
from producer.start.run_name import name_run
from producer.start.run_request import MigrationRequest, RunOptions
from producer.start.separate_collections import (
    check_separate,
    with_source_uuids,
    with_target_uuids,
)
from producer.start.source_moment import with_source_moment
from producer.start.start_follow import follow_part
from producer.start.start_generation import check_targets, create_collections


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """A request with every collection resolved; nothing is written."""

    job: MigrationJob
    selection: NamespaceSelection


def plan_migration(
    request: MigrationRequest, config: FrameworkConfig, connections: Connections
) -> MigrationPlan:
    """Find the collections and make the job. Raises UsageError; writes nothing."""
    load_plugins(config.plugins)
    MigrationStrategyFactory.create(request.strategy)
    wanted = selection_request(request, config)
    selection = select_namespaces(connections.source, wanted)
    pairs = with_id_from(connections.source, selection.pairs, request.id_from)
    job = MigrationJob(
        namespaces=with_source_uuids(connections.source, pairs),
        strategy=request.strategy,
        filter=request.filter,
        transform=request.transform,
        on_conflict=request.on_conflict,
        indexes=request.indexes,
        partitioner=request.partitioner,
        renames=tuple(wanted.renames),
        views=views_to_define(selection) if request.views else (),
        left_out=tuple(what_is_left_out(selection, views=request.views)),
        allow_unmatched=request.allow_unmatched,
        mask_digest=mask_digest(request.transform),
        made_with=versions() if request.transform.mask else {},
        include=tuple(wanted.include),
        exclude=tuple(wanted.exclude),
    )
    document_change(job)  # reads the transform, and refuses impossible changes
    parsed_filter(job)
    check_id_from(job)
    check_resume_field(connections.source, job)
    return MigrationPlan(job, selection)


def start_migration(
    request: MigrationRequest, config: FrameworkConfig, connections: Connections
) -> RunSpec:
    """Check the request against the servers, prepare the target and record the run.

    Raises UsageError before anything is written or dropped.
    """
    connections.reach_ledger()
    source, target = connections.source, connections.target
    plan = plan_migration(request, config, connections)
    connections.begin_imports()
    check_time_series(plan.job)
    check_filter(plan.job)
    check_names(target, plan.job.namespaces)
    check_rules(source, plan.job)
    check_repeated_ids(source, target, plan.job, request.options.layout.shard_key)
    pairs = plan.job.namespaces
    namespaces = [pair.target for pair in pairs]
    check_separate(source, target, pairs, different_servers=request.different_servers)
    # A command without Redis starts one here, when all that it needs no ledger for is checked.
    ledger = connections.ledger
    if request.options.drop:
        check_not_in_use(ledger, target, namespaces)
    check_targets(target, namespaces, request.options)
    if not request.options.drop:  # otherwise each is created again like its source
        check_unique_ids(target, namespaces)
        check_target_series(source, target, pairs)
    if request.follow:
        follow = follow_part(source, plan.job, request, config, ledger.key_windows.now)
        plan = replace(plan, job=plan.job.model_copy(update={"follow": follow}))
        warn_of_short_history(source, plan.job, request.options.max_rate)
    spec = new_spec(plan.job, request.options, config, target, source)
    options = request.options
    with claimed_targets(ledger, spec, namespaces, shared=options.drop or options.append):
        check_targets(target, namespaces, options)  # another run may have ended meanwhile
        name_run(ledger, spec, options.run_name)
        if options.drop:
            _drop(source, target, pairs, options)
        create_collections(target, namespaces, options)
        prepare_collections(source, target, plan.job)
        if request.views:
            create_views(target, plan.selection.views)
        pairs = with_copied_indexes(source, plan.job)
        job = plan.job.model_copy(update={"namespaces": with_target_uuids(target, pairs)})
        job = with_source_moment(source, job)
        spec = spec.model_copy(update={"job": job})
        record_run(ledger, spec, None, connections.run_queue)
    if notes := list(similar_field_notes(source, job)):
        ledger.set_notes(spec.run_id, NoteTopic.RULES, notes)
    return spec


def _drop(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    pairs: Sequence[NamespacePair],
    options: RunOptions,
) -> None:
    """Drop the target's collections; each is created again like its source, sharded as before."""
    dropped = []
    for pair in pairs:
        laid_out = bool(options.layout)
        named = series_of_buckets(pair.target)
        before = describe_collection(target, named, laid_out=laid_out)
        if before is not None:
            say_what_is_lost(source, pair, before.options)
            dropped.append(replace(before, namespace=pair.target, options={}))
    for pair in pairs:
        target.drop(pair.target)
    for collection in dropped:
        collection.create(target)


def selection_request(request: MigrationRequest, config: FrameworkConfig) -> SelectionRequest:
    """Return which collections were requested, by flags or settings."""
    include = request.include or _of_settings(config.source)
    if not include:
        raise UsageError(
            "no collection was selected",
            "Add --include DATABASE.COLLECTION, or --include 'DATABASE.*', "
            "or set FRAMEWORK_SOURCE_DB_NAME and FRAMEWORK_SOURCE_DB_COLLECTION",
        )
    renames = [_rename(text) for text in request.mappings]
    if request.to is not None:
        if len(include) != 1 or "*" in include[0]:
            raise UsageError(
                "--to requires exactly one --include that names one collection",
                "For several write --map 'shop.*=archive.*'",
            )
        renames.insert(0, (include[0], request.to))
    elif not request.include and not renames:
        renames = [(name, to) for name in include for to in _of_settings(config.target)]
    return SelectionRequest(include, request.exclude, renames, request.allow_unmatched)


def _of_settings(config: DatabaseConfig | None) -> tuple[str, ...]:
    if config is None or not (config.database_name and config.collection_name):
        return ()
    return (f"{config.database_name}.{config.collection_name}",)


def _rename(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise UsageError(
            f"--map {text} is not a renaming", "Write PATTERN=PATTERN, like 'shop.*=archive.*'"
        )
    return old, new
