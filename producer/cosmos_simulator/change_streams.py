"""Change streams of an account with request units, and of Azure DocumentDB.

What they do, and how we know: docs/cosmos-simulator.md.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp

from producer.cosmos_simulator.catalog import Catalog
from producer.cosmos_simulator.change_history import ChangeHistory, LoggedChange, number_of, token
from producer.cosmos_simulator.change_record import Change, document_key
from producer.cosmos_simulator.latest_versions import CollectionFeed, next_page
from producer.cosmos_simulator.partitioned_ids import data_collection
from producer.cosmos_simulator.responses import cursor_not_found, error
from producer.cosmos_simulator.upstream import Upstream
from producer.cosmos_simulator.wire import Command

Reply = Mapping[str, Any]
STAGE = "$changeStream"
_FIRST_CURSOR_ID = 1 << 61
_PAGE = 100
_WAIT_SECONDS, _LOOK_SECONDS = 1.0, 0.02
_WANTED_OPERATIONS = {"insert", "update", "replace"}
_WANTED_FIELDS = {"_id", "fullDocument", "ns", "documentKey"}
_DOCUMENTDB_STAGES = frozenset({"$match", "$project", "$addFields", "$set", "$unset"})
_LARGEST_PAGE_BYTES = 8 * 1024 * 1024
EXPIRED_TEXT = "Expired resume token or cursor"


def is_change_stream(command: Command) -> bool:
    """Return whether an aggregate opens a change stream."""
    if command.name != "aggregate":
        return False
    pipeline = command.body.get("pipeline") or [{}]
    return next(iter(pipeline[0]), "") == STAGE


@dataclass(frozen=True, slots=True)
class Extra:
    """Fields of an answer and of its cursor, beside the events."""

    answer: Mapping[str, Any] = field(default_factory=dict)
    cursor: Mapping[str, Any] = field(default_factory=dict)


class Stream(Protocol):
    """An open change stream."""

    namespace: str

    async def page(self, upstream: Upstream, limit: int) -> list[Any] | Reply:
        """Return the next events, or an error."""

    @property
    def waits(self) -> bool:
        """Whether getMore waits for the next event."""

    def extra(self) -> Extra:
        """Return the answer's other fields, such as the token of a page without events."""


class ChangeStreams:
    """All change streams of a simulator, and their feeds."""

    def __init__(self, catalog: Catalog, partitions: int, history_bytes: int) -> None:
        self._catalog = catalog
        self._partitions = partitions
        self._feeds: dict[str, CollectionFeed] = {}
        self._log = ChangeHistory(history_bytes)
        self._streams: dict[int, Stream] = {}
        self._ids = itertools.count(_FIRST_CURSOR_ID)

    def record(self, changes: Sequence[Change]) -> None:
        """Note what a write did."""
        now = time.time()
        for change in changes:
            self.feed(change.namespace).record(change.key, change.document, now)
            self._log.add(change, int(now))

    def feed(self, namespace: str) -> CollectionFeed:
        """Return the feed of a collection."""
        return self._feeds.setdefault(namespace, CollectionFeed(self._partitions))

    def forget_collection(self, namespace: str) -> None:
        """Forget a dropped collection: a new one with its name is a different one."""
        self._feeds.pop(namespace, None)

    def forget_database(self, database: str) -> None:
        """Forget the collections of a dropped database."""
        for namespace in [name for name in self._feeds if name.startswith(f"{database}.")]:
            del self._feeds[namespace]

    # An account with request units.

    async def tokens(self, command: Command, upstream: Upstream) -> Reply:
        """``GetChangeStreamTokens``: a token for each physical partition."""
        namespace = f"{command.database}.{command.body['collection']}"
        if not await _exists(upstream, namespace):
            return error(26, f"Collection {namespace} not found")
        feed = await self._complete_feed(namespace, upstream)
        start = command.body.get("startAtOperationTime")
        positions = feed.positions_now() if start is None else feed.positions_at(start.time)
        found = [feed.token({number: lsn}) for number, lsn in positions.items()]
        return {"resumeAfterTokens": found, "ok": 1}

    async def open_latest(self, command: Command, upstream: Upstream) -> Reply:
        """Open a stream of latest versions, if the request has the only supported form."""
        if not isinstance(command.body["aggregate"], str):
            return error(115, "Change streams are supported on a single collection only")
        refused = _pipeline_refusal(command.body["pipeline"])
        if refused:
            return refused
        namespace = command.namespace
        if not await _exists(upstream, namespace):
            return error(26, f"Collection {namespace} not found")
        feed = await self._complete_feed(namespace, upstream)
        options = command.body["pipeline"][0][STAGE]
        given = options.get("resumeAfter") or options.get("startAfter")
        start = options.get("startAtOperationTime")
        positions: dict[int, int] | None = feed.positions_now()
        if given is not None:
            positions = feed.positions(given)
        elif start is not None:
            positions = feed.positions_at(start.time)
        if positions is None:
            return error(2, "The resume token does not belong to this collection: Rid mismatch")
        place = data_collection(command, self._catalog)
        stream = LatestVersionStream(
            namespace,
            feed,
            positions,
            place,
            self._catalog.shard_key(namespace),
            lambda: self._feeds.get(namespace) is feed,
        )
        return await self._opened(stream, command, upstream)

    async def _complete_feed(self, namespace: str, upstream: Upstream) -> CollectionFeed:
        """Return the feed with documents that existed before any write through the simulator."""
        feed = self.feed(namespace)
        if not feed.knows_earlier_documents:
            shard_key = self._catalog.shard_key(namespace)
            keys: dict[Any, list[bytes]] = {}
            async for document in _all_documents(upstream, self._place(namespace)):
                key = document_key(document, shard_key)
                keys.setdefault(id(feed.partition_of(key)), []).append(key)
            for partition in feed.partitions:
                partition.add_earlier(keys.get(id(partition), []))
            feed.knows_earlier_documents = True
        return feed

    def _place(self, namespace: str) -> tuple[str, str]:
        database, _, collection = namespace.partition(".")
        return data_collection(Command(0, 0, {"find": collection, "$db": database}), self._catalog)

    # Azure DocumentDB.

    async def open_log(self, command: Command, upstream: Upstream) -> Reply:
        """Open a stream of every change, of a collection, a database or the cluster."""
        first, *stages = command.body["pipeline"]
        options = first[STAGE]
        for stage in stages:
            name = next(iter(stage), "")
            if name not in _DOCUMENTDB_STAGES:
                return error(40324, f"Stage {name} is not permitted in a {STAGE} pipeline")
        for option in ("startAtOperationTime", "showExpandedEvents", "fullDocumentBeforeChange"):
            if option in options:
                return error(115, f"{STAGE} option {option} is not supported")
        given = options.get("resumeAfter") or options.get("startAfter")
        number = self._log.last if given is None else number_of(given)
        if number is None or number > self._log.last:
            return error(2, "Invalid resume token")
        everything = options.get("allChangesForCluster", False)
        collection = command.body["aggregate"]
        scope = command.database + "." + (collection if isinstance(collection, str) else "")
        stream = LogStream("" if everything else scope, self._log, number, list(stages))
        return await self._opened(stream, command, upstream)

    # Both.

    async def _opened(self, stream: Stream, command: Command, upstream: Upstream) -> Reply:
        limit = int(command.body.get("cursor", {}).get("batchSize", _PAGE))
        found = await stream.page(upstream, limit) if limit else []
        if isinstance(found, Mapping):
            return found
        cursor_id = next(self._ids)
        self._streams[cursor_id] = stream
        return _cursor("firstBatch", found, cursor_id, command.namespace, stream.extra())

    def is_open(self, cursor_id: int) -> bool:
        """Return whether a cursor belongs to an open change stream.

        mongod's own ids may be any number.
        """
        return cursor_id in self._streams

    async def next_events(self, command: Command, upstream: Upstream) -> Reply:
        """Answer getMore."""
        cursor_id = int(command.body["getMore"])
        stream = self._streams.get(cursor_id)
        if stream is None:
            return cursor_not_found(cursor_id)
        limit = int(command.body.get("batchSize", _PAGE))
        until = time.monotonic() + int(command.body.get("maxTimeMS", _WAIT_SECONDS * 1000)) / 1000
        found = await stream.page(upstream, limit)
        while not found and stream.waits and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
            found = await stream.page(upstream, limit)
        if isinstance(found, Mapping):
            self.close(cursor_id)
            return found
        return _cursor("nextBatch", found, cursor_id, command.namespace, stream.extra())

    def empty_page(self, command: Command) -> Reply:
        """Answer as a throttled stream does: without events and without an error."""
        cursor_id = int(command.body["getMore"])
        stream = self._streams.get(cursor_id)
        if stream is None:
            return cursor_not_found(cursor_id)
        return _cursor("nextBatch", [], cursor_id, command.namespace, stream.extra())

    def close(self, cursor_id: int) -> None:
        """Forget a stream."""
        self._streams.pop(cursor_id, None)


@dataclass(slots=True)
class LatestVersionStream(Stream):
    """Latest versions of one collection's documents, and one token for all events of a page."""

    namespace: str
    feed: CollectionFeed
    positions: dict[int, int]
    place: tuple[str, str]
    shard_key: str | None
    is_current: Callable[[], bool]

    @property
    def waits(self) -> bool:
        """Whether getMore waits: yes, as MongoDB does."""
        return True

    def extra(self) -> Extra:
        """Return a time and no token: a page without events has nothing to resume from."""
        return Extra(answer={"operationTime": Timestamp(int(time.time()), 1)})

    async def page(self, upstream: Upstream, limit: int) -> list[Any] | Reply:
        if not self.is_current():
            return error(26, f"Collection {self.namespace} not found")
        after, keys = next_page(self.feed, self.positions, limit)
        found = await self._documents(upstream, keys)
        self.positions = after
        database, _, collection = self.namespace.partition(".")
        shared = {"_id": self.feed.token(after)}
        return [
            {
                **shared,
                "fullDocument": RawBSONDocument(found[key]),
                "ns": {"db": database, "coll": collection},
                "documentKey": RawBSONDocument(key),
            }
            for key in keys
            if key in found
        ]

    async def _documents(self, upstream: Upstream, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        if not keys:
            return {}
        ids = [RawBSONDocument(key)["_id"] for key in keys]
        database, collection = self.place
        find = {"find": collection, "filter": {"_id": {"$in": ids}}, "batchSize": 10 * len(ids)}
        reply = await upstream.command(database, {**find, "singleBatch": True})
        documents = [bytes(one.raw) for one in reply["cursor"]["firstBatch"]] if reply["ok"] else []
        return {document_key(document, self.shard_key): document for document in documents}


@dataclass(slots=True)
class LogStream(Stream):
    """Every change in a scope: a collection, a database (``name.``) or, empty, everything."""

    namespace: str
    log: ChangeHistory
    number: int
    stages: list[Any] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """Whether getMore waits: no, it answers at once, even without events."""
        return False

    def extra(self) -> Extra:
        """Return a token and no time."""
        return Extra(cursor={"postBatchResumeToken": token(self.number)})

    async def page(self, upstream: Upstream, limit: int) -> list[Any] | Reply:
        if not self.log.reaches(self.number):
            return error(2, EXPIRED_TEXT)
        events: list[Any] = []
        size = 0
        for entry in self.log.after(self.number, 10 * limit):
            size += entry.size_bytes
            if len(events) >= limit or (events and size > _LARGEST_PAGE_BYTES):
                break
            self.number = entry.number
            if self._is_of(entry.change.namespace):
                events.append(_log_event(entry))
        if not (events and self.stages):
            return events
        pipeline = [{"$documents": {"$literal": events}}, *self.stages]
        aggregate = {"aggregate": 1, "pipeline": pipeline, "cursor": {"batchSize": limit}}
        reply = await upstream.command("admin", aggregate)
        return list(reply["cursor"]["firstBatch"]) if reply["ok"] else reply

    def _is_of(self, namespace: str) -> bool:
        if self.namespace.endswith(".") or not self.namespace:
            return namespace.startswith(self.namespace)
        return namespace == self.namespace


def _log_event(entry: LoggedChange) -> dict[str, Any]:
    change = entry.change
    database, _, collection = change.namespace.partition(".")
    event: dict[str, Any] = {
        "_id": token(entry.number),
        "operationType": change.operation,
        "wallTime": datetime.fromtimestamp(entry.second, UTC),
        "ns": {"db": database, "coll": collection},
        "documentKey": RawBSONDocument(change.key),
    }
    if change.document is not None:
        event["fullDocument"] = RawBSONDocument(change.document)
    return event


def _pipeline_refusal(pipeline: Sequence[Any]) -> Reply | None:
    first, *stages = pipeline
    names = [next(iter(stage), "") for stage in stages]
    matched = stages[0]["$match"] if names[:1] == ["$match"] else {}
    operations = matched.get("operationType", {}) if list(matched) == ["operationType"] else {}
    wanted = operations.get("$in", []) if isinstance(operations, Mapping) else []
    if set(wanted) != _WANTED_OPERATIONS:
        return error(2, "Match stage must include constraints on operationType")
    projected = stages[1]["$project"] if names[1:] == ["$project"] else {}
    if set(projected) != _WANTED_FIELDS or not all(value == 1 for value in projected.values()):
        fields = ", ".join(sorted(_WANTED_FIELDS))
        return error(2, f"The pipeline must be $match and then $project of {fields}")
    if first[STAGE].get("fullDocument") != "updateLookup":
        return error(2, "fullDocument must be updateLookup")
    return None


def _cursor(
    batch: str, events: Sequence[Any], cursor_id: int, namespace: str, extra: Extra
) -> Reply:
    cursor = {batch: list(events), "id": Int64(cursor_id), "ns": namespace, **extra.cursor}
    return {"cursor": cursor, **extra.answer, "ok": 1}


async def _exists(upstream: Upstream, namespace: str) -> bool:
    database, _, collection = namespace.partition(".")
    command = {"listCollections": 1, "filter": {"name": collection}, "nameOnly": True}
    listed = await upstream.command(database, command)
    return bool(listed["ok"] and listed["cursor"]["firstBatch"])


async def _all_documents(upstream: Upstream, place: tuple[str, str]) -> Any:
    database, collection = place
    reply = await upstream.command(database, {"find": collection, "batchSize": 1000})
    while reply["ok"]:
        cursor = reply["cursor"]
        for document in cursor.get("firstBatch", cursor.get("nextBatch", [])):
            yield bytes(document.raw)
        if not cursor["id"]:
            return
        more = {"getMore": Int64(cursor["id"]), "collection": collection, "batchSize": 1000}
        reply = await upstream.command(database, more)
