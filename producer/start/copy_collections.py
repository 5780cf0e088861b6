"""Create a migration's collections at the target, with the options of the source's."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataworks_tasks.errors import TerminalError, UsageError
from dataworks_tasks.migrate.collection_options import VALIDATION, read_options
from dataworks_tasks.migrate.copy_indexes import RefusedIndex, copy_indexes
from dataworks_tasks.runs.choices import IndexPolicy
from dataworks_tasks.runs.namespace import Namespace, series_of_buckets
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from producer.start.namespace_selection import View

log = logging.getLogger(__name__)

_NOT_FOR_CREATE = VALIDATION | {"storageEngine", "autoIndexId", "uuid", "temp"}


@dataclass(frozen=True, slots=True)
class PreparedCollection:
    """What was done for one collection: created or existing; options that were not copied."""

    namespace: Namespace
    created: bool
    options: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    refused: tuple[RefusedIndex, ...] = ()
    """Indexes that should exist before the documents; they are tried again after the copy."""


def prepare_collections(
    source: BaseDatabaseClient, target: BaseDatabaseClient, job: MigrationJob
) -> tuple[PreparedCollection, ...]:
    """Create what is missing at the target, before the copy; doing it twice changes nothing.

    Validators are set when the copy is finished: documents older than the rule would be refused.
    Raises UsageError when the target cannot have a collection like the source's.
    """
    return tuple(_prepare(source, target, job, pair) for pair in job.namespaces)


def _prepare(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    job: MigrationJob,
    pair: NamespacePair,
) -> PreparedCollection:
    indexes: tuple[str, ...] = ()
    refused: tuple[RefusedIndex, ...] = ()
    options = _wanted_options(source, pair.source)
    created = False
    left_out: tuple[str, ...] = ()
    if not target.capabilities.collection_stats:
        left_out = tuple(options)
        options = {}
    elif read_options(target, pair.target) is None:
        _create(target, series_of_buckets(pair.target), options)
        created = True
    before = job.indexes is IndexPolicy.BEFORE
    while_empty = target.capabilities.unique_indexes_while_empty
    if before or (while_empty and job.indexes is IndexPolicy.AFTER):
        copy = copy_indexes(
            source, target, pair, wanted=lambda index: before or bool(index.get("unique"))
        )
        indexes, refused = tuple(copy.built), tuple(copy.refused)
    return PreparedCollection(pair.target, created, tuple(options), left_out, indexes, refused)


def _wanted_options(source: BaseDatabaseClient, namespace: Namespace) -> dict[str, Any]:
    found = read_options(source, series_of_buckets(namespace)) or {}
    options = {name: value for name, value in found.items() if name not in _NOT_FOR_CREATE}
    clustered = options.get("clusteredIndex")
    if isinstance(clustered, Mapping):
        options["clusteredIndex"] = {k: v for k, v in clustered.items() if k != "v"}
    return options


def say_what_is_lost(
    source: BaseDatabaseClient, pair: NamespacePair, before: Mapping[str, Any]
) -> None:
    """Log the options that a dropped target loses: it is created again like its source."""
    wanted = _wanted_options(source, pair.source)
    had = {name: value for name, value in before.items() if name not in VALIDATION}
    missing = [name for name in had if name not in wanted]
    other = [name for name in had.keys() & wanted if _plain(had[name]) != _plain(wanted[name])]
    differ = "which has other values"
    for said, lost in (("which does not have that", missing), (differ, sorted(other))):
        if lost:
            log.warning(
                "%s had %s: --drop creates it again like its source, %s",
                series_of_buckets(pair.target),
                ", ".join(lost),
                said,
            )


def _plain(value: Any) -> Any:
    """Return an option's value without the version of the server's library for collations."""
    if not isinstance(value, Mapping):
        return value
    return {name: part for name, part in value.items() if name != "version"}


def _create(target: BaseDatabaseClient, namespace: Namespace, options: Mapping[str, Any]) -> None:
    try:
        target.command(namespace.database, {"create": namespace.collection, **options})
    except TerminalError as error:
        raise UsageError(
            f"{namespace} cannot be created like its source "
            f"({', '.join(options) or 'without options'}): {error.fact}",
            "Create it yourself at the target; an existing collection is used unchanged",
        ) from None


def create_views(target: BaseDatabaseClient, views: Sequence[View]) -> tuple[Namespace, ...]:
    """Define the missing views at the target, if possible; return their names."""
    possible = [view for view in views if view.problem is None]
    missing = [view for view in possible if read_options(target, view.target) is None]
    for view in missing:
        _create(target, view.target, view.options)
    return tuple(view.target for view in missing)
