"""Read a source's change stream: which keys changed, and up to which position."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, NamedTuple, Self

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo.change_stream import ChangeStream, ClusterChangeStream, DatabaseChangeStream
from pymongo.errors import OperationFailure, PyMongoError

from dataworks_tasks.documents.raw_bson import (
    FIXED_SIZES,
    Element,
    element_bytes,
    elements,
    find_element,
    id_element,
    value_end,
)
from dataworks_tasks.errors import RunFailed, StoreUnavailable
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.bounded_reads import now_at
from dataworks_tasks.store.changed_documents import HISTORY_LOST
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.cluster_time import token_time
from dataworks_tasks.store.driver_errors import classify

_RAW = CodecOptions[RawBSONDocument](document_class=RawBSONDocument)
_AWAIT_MILLISECONDS, _BRIEF_MILLISECONDS = 200, 10
_KEY_EVENTS = frozenset({b"insert", b"update", b"replace", b"delete"})
_TOKEN, _KEY, _ID = b"\x03_id\0", b"\x03documentKey\0", b"_id\0"
_TOKEN_AT = 4 + len(_TOKEN)
_MOST_HEADS = 10_000
_length_at = Struct("<i").unpack_from
_PIPELINE_FIELDS = {"operationType": 1, "documentKey._id": 1, "ns": 1, "to": 1}


class HistoryLost(RunFailed):
    """The source no longer has the changes since the run's position."""


class DdlEvent(NamedTuple):
    """A change of a collection itself, such as a drop.

    ``pairs``: the run's pairs that it concerns.
    """

    operation: str
    namespace: str
    pairs: tuple[int, ...] = ()


@dataclass(slots=True)
class CapturedChanges:
    """Keys that changed, each once, by collection pair; and the position after the last event.

    ``is_idle``: there was nothing more to read. ``ddl``: reading stopped after this event.
    """

    keys: dict[tuple[int, bytes], Element] = field(default_factory=dict)
    events: int = 0
    token: bytes = b""
    is_idle: bool = False
    ddl: DdlEvent | None = None
    position_time: Timestamp | None = None
    """The time up to which nothing is missing, if tokens have no time."""

    @property
    def time(self) -> Timestamp:
        """The time of the position."""
        return self.position_time or token_time(self.token)


class ChangeReader:
    """Follows the collections of a run from a position; a context manager.

    ``database``: the only one that is followed; None follows the whole deployment, and then the
    stream survives that a database is dropped. ``token``: where it begins; empty: at the cluster
    time ``at``, or now. ``waits``: whether to wait a moment for the next change. Raises HistoryLost
    if the source cannot go back to the position.
    """

    def __init__(
        self,
        source: BaseDatabaseClient,
        namespaces: tuple[NamespacePair, ...],
        database: str | None,
        token: bytes | None,
        at: Timestamp | None = None,
        *,
        waits: bool = True,
    ) -> None:
        self._source, self._database, self._token = source, database, token
        self._await_milliseconds = _AWAIT_MILLISECONDS if waits else _BRIEF_MILLISECONDS
        self._at = None if token else at
        self._pairs = {
            (pair.source.database.encode(), pair.source.collection.encode()): number
            for number, pair in enumerate(namespaces)
        }
        self._heads: dict[bytes, int] = {}
        """Pairs by the part of an event between token and key: the operation and the name."""
        self._latest: tuple[bytes, int] = _KEY, -1
        """The head of the event before, up to its key: the next one mostly has the same."""
        self._stream: ChangeStream[Any] | None = None

    def __enter__(self) -> Self:
        self._stream = self._guarded(self._open)
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    @property
    def token(self) -> bytes:
        """The position after everything that was read; a new stream has one, too."""
        stream = self._opened()
        token: Any = stream.resume_token
        return bytes(token.raw) if token else self._token or b""

    def read(self, most_keys: int, seconds: float) -> CapturedChanges:
        """Return the next changes in complete batches: about ``most_keys`` keys or ``seconds``."""
        stream, captured = self._opened(), CapturedChanges()
        until = time.monotonic() + seconds
        while captured.ddl is None:
            event = self._guarded(stream.try_next)
            if event is None:
                captured.is_idle = True
                break
            self._take(bytes(event.raw), captured)
            if self._take_batch(stream, captured):
                continue
            if len(captured.keys) >= most_keys or time.monotonic() >= until:
                break
        captured.token = captured.token or self.token
        return captured

    def _take_batch(self, stream: ChangeStream[Any], captured: CapturedChanges) -> bool:
        """Take what came with the last event; return whether only the end of the batch is left.

        The driver (4.10 and 4.20 were read) notes a position for every event that it hands out,
        which costs more than reading the event. Only that of a batch's end is needed: it is never
        older than an event that was taken. A driver that keeps its batches elsewhere hands out all.
        """
        cursor = getattr(stream, "_cursor", None)
        batch: deque[RawBSONDocument] = getattr(cursor, "_data", deque())
        while len(batch) > 1 and captured.ddl is None:
            event = batch.popleft()
            self._take(bytes(event.raw), captured)
            if captured.ddl is not None:
                captured.token = bytes(event["_id"].raw)
        return bool(batch)

    def _take(self, event: bytes, captured: CapturedChanges) -> None:
        captured.events += 1
        head, known = self._latest
        if event.startswith(_TOKEN, 4):
            start = _TOKEN_AT + _length_at(event, _TOKEN_AT)[0]
            if event.startswith(head, start):
                key = _key_at(event, start + len(head))
                if key is not None and known >= 0:
                    captured.keys[known, key] = id_element(key)
                    return
        self._take_any(event, captured)

    def _take_any(self, event: bytes, captured: CapturedChanges) -> None:
        head, key = _parted(event)
        known = self._heads.get(head)
        if key is None or known is None:
            self._take_other(event, captured, head if key is not None else None)
            return
        captured.keys[known, key] = id_element(key)
        self._latest = head + _KEY, known

    def _take_other(self, event: bytes, captured: CapturedChanges, head: bytes | None) -> None:
        """Read an event whose ``head`` was not seen before; None if its form differs."""
        fields = {element.name: element for element in elements(event)}
        operation = _text(fields[b"operationType"])
        where = fields.get(b"ns")
        if operation not in _KEY_EVENTS:
            if pairs := self._concerned(operation, where, fields.get(b"to")):
                captured.ddl = DdlEvent(operation.decode(), _shown(where), pairs)
            return
        pair = self._pairs.get(_names(where))
        key = find_element(fields[b"documentKey"].value, b"_id")
        if pair is not None and key is not None:
            captured.keys[pair, element_bytes(key)] = key
            if head is not None and len(self._heads) < _MOST_HEADS:
                self._heads[head] = pair

    def _concerned(
        self, operation: bytes, where: Element | None, to: Element | None
    ) -> tuple[int, ...]:
        """Return the pairs whose collection is gone or was replaced."""
        if operation in (b"dropDatabase", b"invalidate"):
            database = _names(where)[0]
            return tuple(
                number
                for names, number in self._pairs.items()
                if where is None or names[0] == database
            )
        both = (_names(where), _names(to))
        return tuple(number for names, number in self._pairs.items() if names in both)

    def _open(self) -> ChangeStream[Any]:
        names = [
            {"ns.db": database.decode(), "ns.coll": collection.decode()}
            for database, collection in self._pairs
        ]
        others = {"operationType": {"$in": ["drop", "rename", "dropDatabase", "invalidate"]}}
        pipeline: list[Mapping[str, Any]] = [
            {"$match": {"$or": [*names, others]}},
            {"$project": _PIPELINE_FIELDS},
        ]
        options: dict[str, Any] = {"batch_size": 10_000}
        options["max_await_time_ms"] = self._await_milliseconds
        options |= {"full_document": None, "resume_after": None, "collation": None}
        options |= {"start_at_operation_time": None, "session": None, "start_after": None}
        if self._token:
            options["start_after"] = RawBSONDocument(self._token)
        else:
            # By default the server begins after its newest operation, at a moment that has not come
            # yet: no node could read at it, and the next change may have exactly that time.
            options["start_at_operation_time"] = self._at or now_at(self._source)
        kind = ClusterChangeStream if self._database is None else DatabaseChangeStream
        # Without a timeout: the server scans everything that others wrote since the position.
        driver = self._source.without_timeout
        where = driver.get_database(self._database or "admin", codec_options=_RAW)
        stream: ChangeStream[Any] = kind(where, pipeline, **options)
        # What the driver's own watch() does; that one decodes the events of a deployment.
        stream._initialize_cursor()
        return stream

    def _opened(self) -> ChangeStream[Any]:
        if self._stream is None:
            raise RuntimeError("the change reader is not open")
        return self._stream

    def _guarded(self, ask: Any) -> Any:
        try:
            return ask()
        except OperationFailure as error:
            if error.code in HISTORY_LOST:
                raise HistoryLost(
                    f"the source's change history no longer reaches back to the run's position "
                    f"(code {error.code})"
                ) from None
            if error.has_error_label("ResumableChangeStreamError"):
                raise StoreUnavailable(f"the source's change stream was cut: {error}") from None
            raise classify(error) from None
        except PyMongoError as error:
            raise classify(error) from None


def _parted(event: bytes) -> tuple[bytes, bytes | None]:
    """Return the part between the token and the key, and the key; None if the form differs.

    The head is the same for all changes of a kind in a collection, so it is parsed once.
    """
    if not event.startswith(_TOKEN, 4):
        return b"", None
    head = _TOKEN_AT + _length_at(event, _TOKEN_AT)[0]
    place = event.find(_KEY, head)
    if place < 0:
        return b"", None
    return event[head:place], _key_at(event, place + len(_KEY))


def _key_at(event: bytes, start: int) -> bytes | None:
    """Return the bytes of the ``_id`` in the document key at ``start``.

    None if the key has other fields, or the event has others after it.
    """
    if start + _length_at(event, start)[0] != len(event) - 1 or not event.startswith(
        _ID, start + 5
    ):
        return None
    key = event[start + 4 : -2]
    value = 1 + len(_ID)
    size = FIXED_SIZES.get(key[0])
    end = value_end(key, key[0], value) if size is None else value + size
    return key if end == len(key) else None


def _text(element: Element) -> bytes:
    return element.value[4:-1]


def _names(where: Element | None) -> tuple[bytes, bytes]:
    if where is None:
        return b"", b""
    fields = {element.name: _text(element) for element in elements(where.value)}
    return fields.get(b"db", b""), fields.get(b"coll", b"")


def _shown(where: Element | None) -> str:
    return b".".join(filter(None, _names(where))).decode(errors="replace")
