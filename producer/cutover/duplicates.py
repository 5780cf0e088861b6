"""Duplicates that a unique index will meet at the target of a run that follows its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Event
from typing import Any

from bson import encode

from dataworks_tasks.documents.raw_bson import Element, element_bytes
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classified
from dataworks_tasks.sync.reconcile import KeyRoute
from dataworks_tasks.sync.still_different import still_different
from dataworks_tasks.sync.wanted import id_of

_LOOKS = 10
_LOOK_SECONDS = 0.5
_MOST_PAIRS = 100


def lasting_duplicate(route: KeyRoute, index: Mapping[str, Any]) -> str | None:
    """Return a value that two documents share for good, or None.

    While values change places at the source, two documents at the target may have the same value
    for a moment: one of them is about to be reconciled.
    """
    client, namespace = route.target.client, route.target.namespace
    before: set[tuple[str, bytes]] = set()
    for look in range(_LOOKS):
        if look:
            Event().wait(_LOOK_SECONDS)
        same: set[tuple[str, bytes]] = set()
        seen = False
        for value, keys in _duplicates(client, namespace, index):
            seen = True
            if list(still_different(route, keys)):
                continue
            duplicate = value, b"".join(element_bytes(key) for key in keys)
            if duplicate in before:
                return value
            # Both may have been reconciled since their values were compared: check once more.
            same.add(duplicate)
        if not seen:
            return None
        before = same
    # Each check found others: the target lags, and will be checked again when it has caught up.
    return None


def _duplicates(
    client: BaseDatabaseClient, namespace: Namespace, index: Mapping[str, Any]
) -> Iterator[tuple[str, Sequence[Element]]]:
    """Yield values that several documents have, as text, each with the keys of two of them."""
    fields = list(index["key"])
    matched = index.get("partialFilterExpression") or {}
    if index.get("sparse"):
        matched = {"$or": [{field: {"$exists": True}} for field in fields]}
    group = {str(number): f"${field}" for number, field in enumerate(fields)}
    pipeline: list[Mapping[str, Any]] = [
        {"$match": matched},
        {
            "$group": {
                "_id": group,
                "n": {"$sum": 1},
                "one": {"$min": "$_id"},
                "other": {"$max": "$_id"},
            }
        },
        {"$match": {"n": {"$gt": 1}}},
        {"$limit": _MOST_PAIRS},
    ]
    options = {"collation": index["collation"]} if "collation" in index else {}
    with classified():
        found = list(client.collection(namespace).aggregate(pipeline, allowDiskUse=True, **options))
    for each in found:
        value = ", ".join(f"{name} = {each['_id'].get(str(n))!r}" for n, name in enumerate(fields))
        yield value, [_key(each[side]) for side in ("one", "other")]


def _key(value: Any) -> Element:
    return id_of(encode({"_id": value}))
