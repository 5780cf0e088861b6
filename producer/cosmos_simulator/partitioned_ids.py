"""Sharded collections whose ``_id``s are unique only within each value of the shard key.

mongod keeps every ``_id`` unique, except in the database ``local``, where a collection may lack the
index on it. So the documents of such a collection are kept there, with a unique index on ``_id``
and shard key; the collection itself stays empty and has the indexes and the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from producer.cosmos_simulator.catalog import Catalog
from producer.cosmos_simulator.upstream import Upstream
from producer.cosmos_simulator.wire import Command, decode_reply, encode_reply

_DATABASE = "local"
_CURSOR_COMMANDS = frozenset({"find", "aggregate", "getMore"})


async def create_backing(upstream: Upstream, namespace: str, shard_key: str) -> dict[str, Any]:
    """Make the collection that keeps the documents."""
    name = _backing(namespace)
    created = await upstream.command(_DATABASE, {"create": name, "autoIndexId": False})
    if not created["ok"] and created.get("code") != 48:
        return created
    index = {"key": {"_id": 1, shard_key: 1}, "name": "_id_and_shard_key", "unique": True}
    return await upstream.command(_DATABASE, {"createIndexes": name, "indexes": [index]})


async def drop_backing(upstream: Upstream, namespace: str) -> None:
    """Drop the documents, if there are any."""
    await upstream.command(_DATABASE, {"drop": _backing(namespace)})


def data_collection(command: Command, catalog: Catalog) -> tuple[str, str]:
    """Return database and name of the collection that stores the documents of the command."""
    if catalog.partitioning_key(command.namespace):
        return _DATABASE, _backing(command.namespace)
    return command.database, str(command.body[command.name])


def to_backing(command: Command, shard_key: str) -> Command:
    """Translate a command for the collection that stores the documents."""
    body = dict(command.body.items())
    body["collection" if command.name == "getMore" else command.name] = _backing(command.namespace)
    body["$db"] = _DATABASE
    hint = body.get("hint")
    if isinstance(hint, Mapping) and list(hint) == ["_id"]:
        body["hint"] = {"_id": hint["_id"], shard_key: hint["_id"]}
    return replace(command, body=body)


def from_backing(command: Command, reply: bytes) -> bytes:
    """Translate mongod's answer to the name that the client knows."""
    if command.name not in _CURSOR_COMMANDS:
        return reply
    document = decode_reply(reply)
    if not document["ok"]:
        return reply
    cursor = {**dict(document["cursor"].items()), "ns": command.namespace}
    return encode_reply({**document, "cursor": cursor}, command.request_id)


def _backing(namespace: str) -> str:
    return f"cosmos.{namespace}"
