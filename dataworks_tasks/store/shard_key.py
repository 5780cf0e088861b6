"""A collection's shard key, and a document's value of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.raw_bson import (
    Element,
    assemble,
    element_bytes,
    embedded,
    find_element,
)
from dataworks_tasks.errors import TerminalError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.capabilities import Capabilities, CollectionCommand
from dataworks_tasks.store.retrying import retry_transient

_DOCUMENT = 0x03


class CommandRunner(Protocol):
    """The part of a database client that is needed here."""

    @property
    def capabilities(self) -> Capabilities:
        """What the server can do."""

    def command(self, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        """Run a command."""


def read_shard_key(client: CommandRunner, namespace: Namespace) -> tuple[str, ...]:
    """Ask the server for a collection's shard key; empty when it has none or does not report it."""
    try:
        if client.capabilities.collection_command is CollectionCommand.CUSTOM_ACTION:
            asked = {"customAction": "GetCollection", "collection": namespace.collection}
            key = client.command(namespace.database, asked).get("shardKeyDefinition")
        else:
            found = {"find": "collections", "filter": {"_id": str(namespace)}, "limit": 1}
            rows = client.command("config", found)["cursor"]["firstBatch"]
            key = rows[0].get("key") if rows else None
    except TerminalError:  # no such collection yet, or no right to look
        return ()
    return tuple(key or ())


class ShardKeys:
    """The shard keys of a server's collections, each read once."""

    def __init__(self, client: CommandRunner) -> None:
        self._client = client
        self._known: dict[Namespace, tuple[str, ...]] = {}

    def of(self, namespace: Namespace) -> tuple[str, ...]:
        """Return the dotted paths; empty if there is no key or filters do not need it."""
        if not self._client.capabilities.shard_key_in_filters:
            return ()
        if namespace not in self._known:
            self._known[namespace] = retry_transient(
                lambda: read_shard_key(self._client, namespace)
            )
        return self._known[namespace]

    def forget(self, namespace: Namespace) -> None:
        """Ask again: the collection was created or dropped."""
        self._known.pop(namespace, None)


def value_at(document: bytes, path: str) -> Element | None:
    """Return the value at a dotted ``path``, not through arrays; None if it is missing."""
    inside = document
    *parents, last = path.encode().split(b".")
    for name in parents:
        element = find_element(inside, name)
        if element is None or element.type != _DOCUMENT:
            return None
        inside = element.value
    return find_element(inside, last)


def narrowed(query: RawBSONDocument, path: str, values: list[Element]) -> RawBSONDocument:
    """Return ``query`` with the condition that the shard key is one of ``values``.

    A single value becomes an equality, which is what sends a write to one shard.
    """
    if len(values) == 1:
        condition = assemble([element_bytes(values[0], b"$eq")])
    else:
        members = assemble(
            element_bytes(value, str(position).encode()) for position, value in enumerate(values)
        )
        condition = assemble([embedded(b"$in", members, array=True)])
    body = bytes(query.raw)[4:-1]
    return RawBSONDocument(assemble([body, embedded(path.encode(), condition)]))
