"""Check that a collection can be read along a field other than ``_id``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataworks_tasks.errors import UsageError
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.migrate.read_indexes import read_indexes
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.store.client import BaseDatabaseClient


def check_resume_field(source: BaseDatabaseClient, job: MigrationJob) -> None:
    """Check the strategy's resume field on every collection of the job.

    It needs an ascending index of its own that holds every document once: not sparse, not partial,
    and no arrays in it. Raises UsageError that names the collection and the index to create.
    """
    field = MigrationStrategyFactory.create(job.strategy).resume_field
    if field == "_id":
        return
    for pair in job.namespaces:
        _check(source, pair.source, field)


def _check(source: BaseDatabaseClient, namespace: Namespace, field: str) -> None:
    remedy = f"Create it with: db.{namespace.collection}.createIndex({{{field!r}: 1}})"
    indexes = [index for index in read_indexes(source, namespace) if index["key"] == {field: 1}]
    if not indexes:
        raise UsageError(f"{namespace} has no index on {field!r} alone, ascending", remedy)
    if any(index.get("sparse") or "partialFilterExpression" in index for index in indexes):
        raise UsageError(
            f"the index of {namespace} on {field!r} does not contain every document", remedy
        )
    if _is_multikey(source, namespace, field):
        raise UsageError(
            f"{field!r} holds arrays in some documents of {namespace}",
            "Choose a strategy with another resume field, or copy along _id with: "
            "--strategy default",
        )


def _is_multikey(source: BaseDatabaseClient, namespace: Namespace, field: str) -> bool:
    if not source.capabilities.collection_stats:
        return False
    find = {"find": namespace.collection, "sort": {field: 1}, "hint": {field: 1}}
    plan = source.command(namespace.database, {"explain": find, "verbosity": "queryPlanner"})
    return _holds(plan, "isMultiKey")


def _holds(plan: Any, name: str) -> bool:
    if isinstance(plan, Mapping):
        return bool(plan.get(name)) or any(_holds(value, name) for value in plan.values())
    return isinstance(plan, list) and any(_holds(value, name) for value in plan)
