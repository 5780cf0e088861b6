"""A collection's indexes, as ``createIndexes`` takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.metadata import list_indexes

_MADE_BY_THE_SERVER = frozenset({"v", "ns", "background"})


def read_indexes(client: BaseDatabaseClient, namespace: Namespace) -> list[dict[str, Any]]:
    """Return every index except that on ``_id``, with all options, for ``createIndexes``."""
    return [
        {name: value for name, value in index.items() if name not in _MADE_BY_THE_SERVER}
        for index in list_indexes(client, namespace)
        if dict(index["key"]) != {"_id": 1}
    ]


def in_order_of_building(indexes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return unique indexes first: duplicates are found before time is spent on others."""
    return sorted(indexes, key=lambda index: not index.get("unique"))
