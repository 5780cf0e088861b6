"""The options that a collection was created with."""

from __future__ import annotations

from typing import Any

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection

VALIDATION = frozenset({"validator", "validationLevel", "validationAction"})
"""Options that are set when the copy is finished."""


def read_options(client: BaseDatabaseClient, namespace: Namespace) -> dict[str, Any] | None:
    """Return the collection's options from ``listCollections``; None if it does not exist."""
    found = read_collection(client, namespace)
    return None if found is None else dict(found.options)


def is_gone(source: BaseDatabaseClient, namespace: Namespace) -> bool:
    """Return whether a source with transactions lacks the collection; others are not asked."""
    return source.capabilities.majority_reads and read_options(source, namespace) is None


def copy_validation(
    source: BaseDatabaseClient, target: BaseDatabaseClient, pair: NamespacePair
) -> bool:
    """Give the target the source's validator; return whether there is one. Checks no document."""
    if not target.capabilities.collection_stats:
        return False
    rules = {
        name: value
        for name, value in (read_options(source, pair.source) or {}).items()
        if name in VALIDATION
    }
    if not rules.get("validator") or pair.source.collection.startswith("system."):
        return False
    target.command(pair.target.database, {"collMod": pair.target.collection, **rules})
    return True


def remove_validation(
    source: BaseDatabaseClient, target: BaseDatabaseClient, pair: NamespacePair
) -> None:
    """Remove the validator that ``copy_validation`` gave the target."""
    sides = (source, pair.source), (target, pair.target)
    if all((read_options(*side) or {}).get("validator") for side in sides):
        target.command(pair.target.database, {"collMod": pair.target.collection, "validator": {}})


def same_order(
    source: BaseDatabaseClient,
    source_name: Namespace,
    target: BaseDatabaseClient,
    target_name: Namespace,
) -> bool:
    """Return whether both collections order the keys of equal documents the same way."""
    return _collation(source, source_name) == _collation(target, target_name)


def _collation(client: BaseDatabaseClient, namespace: Namespace) -> dict[str, Any]:
    """Return a collection's default collation, with the version of the server's library."""
    found = (read_options(client, namespace) or {}).get("collation", {})
    return {name: value for name, value in found.items() if name != "version"}
