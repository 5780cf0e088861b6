"""The collections of a source that patterns select."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.renaming import pattern_of
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.metadata import list_collections

_OWN_DATABASES = frozenset({"admin", "local", "config"})


class ListedCollection(NamedTuple):
    """A collection or view as ``listCollections`` has it. ``type``: collection, view, ..."""

    namespace: Namespace
    type: str
    options: Mapping[str, Any]

    @property
    def is_system(self) -> bool:
        """Whether it belongs to the server itself."""
        return self.namespace.collection.startswith("system.")


def listed_collections(
    source: BaseDatabaseClient, patterns: Iterable[str]
) -> Iterator[ListedCollection]:
    """Return every collection of the databases that the patterns can match."""
    databases = {Namespace.parse(pattern).database for pattern in patterns}
    if any("*" in name for name in databases):
        listed = source.command("admin", {"listDatabases": 1, "nameOnly": True})
        names = {item["name"] for item in listed["databases"]} - _OWN_DATABASES
        wanted = [pattern_of(name) for name in databases]
        databases = {name for name in names if any(one.fullmatch(name) for one in wanted)}
    for database in sorted(databases):
        for item in list_collections(source, database):
            namespace = Namespace(database, item["name"])
            yield ListedCollection(
                namespace, item.get("type", "collection"), item.get("options", {})
            )


def matches_any(patterns: Iterable[str], namespace: Namespace) -> bool:
    """Return whether one of the patterns matches the namespace."""
    return any(pattern_of(pattern).fullmatch(str(namespace)) for pattern in patterns)
