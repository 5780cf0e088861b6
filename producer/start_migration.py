"""Check a migration request against both servers, then record the run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from dataworks_tasks.errors import UsageError
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.namespace import Namespace
from dataworks_tasks.plugins import load_plugins
from dataworks_tasks.run_spec import (
    MigrationJob,
    NamespacePair,
    RunKind,
    RunSpec,
    new_run_id,
)
from dataworks_tasks.settings import FrameworkConfig
from producer.connections import Connections
from producer.run_request import MigrationRequest
from producer.start_generation import check_targets


def start_migration(
    request: MigrationRequest, config: FrameworkConfig, connections: Connections
) -> RunSpec:
    """Check the request against the servers, prepare the target and record the run.

    Raises UsageError before anything is written or dropped.
    """
    load_plugins(config.plugins)
    MigrationStrategyFactory.create(request.strategy)
    ledger, source, target = connections.ledger, connections.source, connections.target
    pairs = _pairs(request, config)
    same_servers = source.config.fingerprint == target.config.fingerprint
    check_pairs(pairs, same_servers=same_servers)
    for pair in pairs:
        if not source.has_documents(pair.source):
            raise UsageError(
                f"the source collection {pair.source} holds no documents or does not exist",
                "Check --include and FRAMEWORK_SOURCE_DB_CONNECTION_STRING",
            )
    check_targets(target, [pair.target for pair in pairs], request.options)
    spec = RunSpec(
        run_id=new_run_id(RunKind.MIGRATION),
        created_at=datetime.now(UTC),
        batch_size=request.options.batch_size or config.batch_aggregation_size,
        write_concern=request.options.write_concern or config.write_concern,
        on_error=request.options.on_error,
        max_failures=request.options.max_failures,
        max_rate=request.options.max_rate,
        max_ru=request.options.max_ru,
        append=request.options.append,
        source_fingerprint=source.config.fingerprint,
        target_fingerprint=target.config.fingerprint,
        job=MigrationJob(
            namespaces=pairs,
            strategy=request.strategy,
            filter=request.filter,
            transform=request.transform,
            on_conflict=request.on_conflict,
            indexes=request.indexes,
            partitioner=request.partitioner,
        ),
    )
    if request.options.drop:
        for pair in pairs:
            target.drop(pair.target)
    ledger.create(spec, None)
    return spec


def check_pairs(pairs: Sequence[NamespacePair], *, same_servers: bool) -> None:
    """Raise UsageError where a collection would be copied onto itself, or two into one."""
    targets: dict[Namespace, Namespace] = {}
    for pair in pairs:
        if same_servers and pair.source == pair.target:
            raise UsageError(
                f"{pair.source} would be copied onto itself",
                "Name another target: --to DATABASE.COLLECTION",
            )
        other = targets.setdefault(pair.target, pair.source)
        if other != pair.source:
            raise UsageError(
                f"{other} and {pair.source} would both be copied into {pair.target}",
                "Give each its own target with --map",
            )


def _pairs(request: MigrationRequest, config: FrameworkConfig) -> tuple[NamespacePair, ...]:
    include = request.include
    if not include and config.source and config.source.collection_name:
        include = (f"{config.source.database_name}.{config.source.collection_name}",)
    if not include:
        raise UsageError("nothing is said of what to copy", "Add --include DATABASE.COLLECTION")
    if request.to is not None and len(include) > 1:
        raise UsageError("--to goes with one --include", "Use --map for several collections")
    sources = [Namespace.parse(text) for text in include]
    if request.to is not None:
        return (NamespacePair(source=sources[0], target=Namespace.parse(request.to)),)
    return tuple(NamespacePair(source=source, target=source) for source in sources)
