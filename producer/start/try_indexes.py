"""Try a template's indexes on an empty collection, before the run instead of after it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from dataworks_tasks.errors import TerminalError, UsageError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.capabilities import CollectionCommand
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_collection import is_there
from dataworks_tasks.store.retrying import retry_transient

Indexes = Sequence[Mapping[str, Any]]


def try_beside(target: BaseDatabaseClient, namespace: Namespace, indexes: Indexes) -> None:
    """Try ``indexes`` for a collection with documents on an empty one with another name.

    A collection costs throughput on Cosmos DB: there they are tried after a ``--drop``.
    Raises UsageError for an index that the server does not build.
    """
    if not indexes or target.capabilities.collection_command is CollectionCommand.CUSTOM_ACTION:
        return
    other = Namespace(namespace.database, f"dataworks_index_trial_{secrets.token_hex(4)}")
    try:
        _build(target, other, indexes, namespace)
    finally:
        target.drop(other)


def refuse_late(target: BaseDatabaseClient, namespace: Namespace, indexes: Indexes) -> None:
    """Raise UsageError for a unique index that a collection with documents cannot get any more."""
    late = _while_empty(target, indexes)
    for name in sorted(late - _names(target, namespace) if late else ()):
        raise UsageError(
            f"the template's unique index {name!r} of {namespace} cannot be built: "
            "this server builds unique indexes only on collections without documents",
            "Start with --drop instead of --append, or leave the index out of the template",
        )


def try_in_place(target: BaseDatabaseClient, namespace: Namespace, indexes: Indexes) -> None:
    """Try ``indexes`` on the empty collection itself, and drop those that it did not have.

    They are built after the documents are written, which is faster than maintaining them meanwhile.
    Where a unique index can be built only now, it stays. Raises UsageError for an index that the
    server does not build.
    """
    if not indexes:
        return
    known = _names(target, namespace) | _while_empty(target, indexes)
    _build(target, namespace, indexes, namespace)
    for name in _names(target, namespace) - known - {"_id_"}:
        try:
            _command(target, namespace, {"dropIndexes": namespace.collection, "index": name})
        except TerminalError:
            if name in _names(target, namespace):
                raise
            raise UsageError(
                f"another command is preparing {namespace} at this moment",
                "Wait until it has started, then repeat this one",
            ) from None


def _while_empty(target: BaseDatabaseClient, indexes: Indexes) -> set[str]:
    """Return the names of the indexes that the server builds only without documents."""
    if not target.capabilities.unique_indexes_while_empty:
        return set()
    return {str(index["name"]) for index in indexes if index.get("unique")}


def _build(
    target: BaseDatabaseClient, namespace: Namespace, indexes: Indexes, meant: Namespace
) -> None:
    """Build ``indexes`` with one command; if it fails, build each alone to find the wrong one."""
    try:
        _create(target, namespace, indexes)
    except TerminalError as error:
        if len(indexes) == 1:
            raise UsageError(
                f"the template's index {indexes[0]['name']!r} of {meant} cannot be built: "
                f"{error.fact}",
                "Change it in the template, or leave it out",
            ) from None
        for index in indexes:
            _build(target, namespace, [index], meant)


def _create(target: BaseDatabaseClient, namespace: Namespace, indexes: Indexes) -> None:
    listed = [dict(index) for index in indexes]
    _command(target, namespace, {"createIndexes": namespace.collection, "indexes": listed})


def _names(target: BaseDatabaseClient, namespace: Namespace) -> set[str]:
    if not is_there(target, namespace):
        return set()
    answer = _command(target, namespace, {"listIndexes": namespace.collection})
    return {str(index["name"]) for index in answer["cursor"]["firstBatch"]}


def _command(
    target: BaseDatabaseClient, namespace: Namespace, command: Mapping[str, Any]
) -> Mapping[str, Any]:
    return retry_transient(lambda: target.command(namespace.database, command))
