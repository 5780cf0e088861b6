"""The source's indexes at the target."""

from __future__ import annotations

from typing import Any

from pymongo.errors import PyMongoError

from dataworks_tasks.errors import RunFailed, StoreUnavailable, TerminalError
from dataworks_tasks.namespace import Namespace
from dataworks_tasks.retry_policy import classify
from dataworks_tasks.run_spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient

_MADE_BY_THE_SERVER = frozenset({"v", "ns", "background"})
_BUILD_TRIES = 240
"""Each waits as long as a socket may (a minute). An index on a very large collection takes hours;
asking again for one that is being built waits for it."""


def read_indexes(client: BaseDatabaseClient, namespace: Namespace) -> list[dict[str, Any]]:
    """Every index but the one on ``_id``, with all its options, as ``createIndexes`` takes it."""
    try:
        found = [dict(index) for index in client.collection(namespace).list_indexes()]
    except PyMongoError as error:
        raise classify(error) from None
    return [
        {name: value for name, value in index.items() if name not in _MADE_BY_THE_SERVER}
        for index in found
        if dict(index["key"]) != {"_id": 1}
    ]


def copy_indexes(
    source: BaseDatabaseClient, target: BaseDatabaseClient, pair: NamespacePair
) -> tuple[str, ...]:
    """Build the source's indexes at the target; those that are there already stay.

    Returns the names of those that were built. Raises RunFailed naming the index, and the
    offending key where a unique one meets duplicates.
    """
    present = {index["name"] for index in read_indexes(target, pair.target)}
    missing = [index for index in read_indexes(source, pair.source) if index["name"] not in present]
    for index in missing:
        _build(target, pair.target, index)
    return tuple(index["name"] for index in missing)


def _build(target: BaseDatabaseClient, namespace: Namespace, index: dict[str, Any]) -> None:
    command = {"createIndexes": namespace.collection, "indexes": [index]}
    for tries_left in reversed(range(_BUILD_TRIES)):
        try:
            target.command(namespace.database, command)
            return
        except StoreUnavailable:
            if tries_left == 0:
                raise
        except TerminalError as error:
            raise RunFailed(
                f"the index {index['name']!r} cannot be built on {namespace}: {error.fact}",
                "Mend the documents at the target, or leave indexes out with --indexes none; "
                "then: dataworks resume RUN",
            ) from None
