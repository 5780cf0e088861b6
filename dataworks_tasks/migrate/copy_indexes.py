"""The source's indexes at the target."""

from __future__ import annotations

from typing import Any

from dataworks_tasks.errors import RunFailed, TerminalError
from dataworks_tasks.runs.lease import FinishLease, UnlimitedLease
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.build_index import build_indexes
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.metadata import list_indexes

_MADE_BY_THE_SERVER = frozenset({"v", "ns", "background"})


def read_indexes(client: BaseDatabaseClient, namespace: Namespace) -> list[dict[str, Any]]:
    """Every index but the one on ``_id``, with all its options, as ``createIndexes`` takes it."""
    return [
        {name: value for name, value in index.items() if name not in _MADE_BY_THE_SERVER}
        for index in list_indexes(client, namespace)
        if dict(index["key"]) != {"_id": 1}
    ]


def copy_indexes(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    pair: NamespacePair,
    lease: FinishLease | None = None,
) -> tuple[str, ...] | None:
    """Build the source's indexes at the target; those that are there already stay.

    Returns the names of those that were built, None when ``lease`` was over before: what the server
    builds by then it goes on with. Raises RunFailed naming the index, and the offending key where
    a unique one meets duplicates.
    """
    present = {index["name"]: index for index in read_indexes(target, pair.target)}
    names = []
    for index in read_indexes(source, pair.source):
        # One that is still being built is listed like any other: asking for it joins the build.
        if index["name"] in present and index != present[index["name"]]:
            continue
        if not _built(target, pair.target, index, lease or UnlimitedLease()):
            return None
        if index["name"] not in present:
            names.append(index["name"])
    return tuple(names)


def _built(
    target: BaseDatabaseClient, namespace: Namespace, index: dict[str, Any], lease: FinishLease
) -> bool:
    try:
        return build_indexes(target, namespace, [index], lease)
    except TerminalError as error:
        raise RunFailed(
            f"the index {index['name']!r} cannot be built on {namespace}: {error.fact}",
            "Mend the documents at the target, or leave indexes out with --indexes none; "
            "then: dataworks resume RUN",
        ) from None
