"""What a write changed, found by reading the documents before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.raw_bson import assemble, element_bytes, find_element
from dataworks_tasks.store.shard_key import value_at
from producer.cosmos_simulator.document_refusals import is_replacement
from producer.cosmos_simulator.upstream import Upstream
from producer.cosmos_simulator.wire import Command

FIND_AND_MODIFY = frozenset({"findAndModify", "findandmodify"})
_MOST_DOCUMENTS = 100_000


@dataclass(frozen=True, slots=True)
class Change:
    """One document's change. ``document`` is None when it is gone.

    ``key`` is the event's ``documentKey`` as BSON: the ``_id``, after the shard key if there is
    one.
    """

    operation: str
    namespace: str
    key: bytes
    document: bytes | None


def document_key(document: bytes, shard_key: str | None) -> bytes:
    """Return what identifies a document in a change stream."""
    parts = []
    if shard_key and shard_key != "_id":
        value = value_at(document, shard_key)
        parts += [element_bytes(value, shard_key.encode())] if value else []
    id_ = find_element(document, b"_id")
    return assemble([*parts, element_bytes(id_)] if id_ else parts)


class ChangeRecorder:
    """Reads the documents that a write concerns; ``place`` is where mongod keeps them."""

    def __init__(self, upstream: Upstream, place: tuple[str, str], shard_key: str | None) -> None:
        self._upstream = upstream
        self._database, self._collection = place
        self._shard_key = shard_key
        self._before: dict[bytes, bytes] = {}

    async def look(self, command: Command) -> None:
        """Remember the documents that an update or a deletion concerns."""
        queries = _queries(command)
        if queries:
            self._before = await self._found({"$or": queries})

    async def changes(self, command: Command, reply: Mapping[str, Any]) -> list[Change]:
        """Return what ``command`` changed, according to mongod's answer."""
        if not reply.get("ok"):
            return []
        if command.name == "insert":
            return self._inserted(command, reply)
        ids = [RawBSONDocument(document)["_id"] for document in self._before.values()]
        ids += [entry["_id"] for entry in reply.get("upserted", ())]
        upserted = dict(reply.get("lastErrorObject") or {}).get("upserted")
        ids += [] if upserted is None else [upserted]
        after = await self._found({"_id": {"$in": ids}}) if ids else {}
        operation = _operation(command)
        changed = [
            Change(operation if key in self._before else "insert", command.namespace, key, document)
            for key, document in after.items()
            if self._before.get(key) != document
        ]
        gone = [key for key in self._before if key not in after]
        return [*changed, *(Change("delete", command.namespace, key, None) for key in gone)]

    def _inserted(self, command: Command, reply: Mapping[str, Any]) -> list[Change]:
        if command.statements is None:
            return []
        refused = {int(entry["index"]) for entry in reply.get("writeErrors", ())}
        count = len(command.statements)
        if command.body.get("ordered", True) and refused:
            count = min(refused)
        return [
            Change("insert", command.namespace, document_key(document, self._shard_key), document)
            for position, document in enumerate(command.statements.documents())
            if position < count and position not in refused
        ]

    async def _found(self, query: Mapping[str, Any]) -> dict[bytes, bytes]:
        find = {
            "find": self._collection,
            "filter": query,
            "batchSize": _MOST_DOCUMENTS,
            "singleBatch": True,
        }
        reply = await self._upstream.command(self._database, find)
        documents = [bytes(one.raw) for one in reply["cursor"]["firstBatch"]] if reply["ok"] else []
        return {document_key(document, self._shard_key): document for document in documents}


def _queries(command: Command) -> list[Any]:
    if command.name in FIND_AND_MODIFY:
        return [command.body.get("query", {})]
    if command.name in {"update", "delete"} and command.statements is not None:
        return [RawBSONDocument(data)["q"] for data in command.statements.documents()]
    return []


def _operation(command: Command) -> str:
    updates: list[Any] = []
    if command.name in FIND_AND_MODIFY:
        updates = [command.body.get("update")]
    elif command.statements is not None:
        updates = [RawBSONDocument(data).get("u") for data in command.statements.documents()]
    return "replace" if updates and all(map(is_replacement, updates)) else "update"
