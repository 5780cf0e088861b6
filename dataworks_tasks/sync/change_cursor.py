"""The cursor of an Azure account's change stream, reopened wherever it was cut."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bson.codec_options import CodecOptions
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure, PyMongoError

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.errors import Throttled, TransientError
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classify
from dataworks_tasks.sync.change_reader import HistoryLost

_RAW = CodecOptions[RawBSONDocument](document_class=RawBSONDocument)
_NAMESPACE_NOT_FOUND, _BAD_VALUE, _CURSOR_NOT_FOUND = 26, 2, 43
_LOST_TEXTS = ("expired resume token", "rid mismatch", "resume token")
"""What these services say instead of a code if the history is lost, or the collection replaced."""
_BACKOFF = Backoff(tries=8)


class CollectionGone(Exception):
    """The collection of a stream was dropped."""


class ChangePage(NamedTuple):
    """Events of one answer as bytes, and the position after them; empty where it has none."""

    events: Sequence[bytes]
    token: bytes


@dataclass(slots=True)
class ChangeCursor:
    """Pages of one change stream, from ``token`` on.

    A cut cursor, a dropped connection and throttling change nothing: the stream is opened again at
    the end of the last page. ``options``: of the ``$changeStream`` stage.
    """

    client: BaseDatabaseClient
    database: str
    aggregate: str | int
    options: Mapping[str, Any]
    stages: Sequence[Mapping[str, Any]]
    token: bytes
    _cursor_id: int = 0
    _collection: str = ""
    _tries: int = field(default=0)

    def next_page(self, size: int, milliseconds: int) -> ChangePage:
        """Return the next events; an empty page if there are none, or the service is throttled.

        Raises HistoryLost, CollectionGone, StoreUnavailable after many tries in a row, and terminal
        errors.
        """
        try:
            reply = self._ask(size, milliseconds)
        except OperationFailure as error:
            self._cursor_id = 0
            self._check(error)
            return self._nothing(classify(error))
        except PyMongoError as error:
            self._cursor_id = 0
            return self._nothing(classify(error))
        self._tries = 0
        return self._page(reply)

    def close(self) -> None:
        """Close the server's cursor."""
        if not self._cursor_id:
            return
        kill = {"killCursors": self._collection, "cursors": [Int64(self._cursor_id)]}
        self._cursor_id = 0
        try:
            self.client.mongo.get_database(self.database).command(kill)
        except PyMongoError:
            return  # it expires on its own

    def _ask(self, size: int, milliseconds: int) -> Mapping[str, Any]:
        database = self.client.mongo.get_database(self.database, codec_options=_RAW)
        if self._cursor_id:
            more = {"getMore": Int64(self._cursor_id), "collection": self._collection}
            more |= {"batchSize": size, "maxTimeMS": milliseconds}
            return database.command(more, codec_options=_RAW)
        stage = dict(self.options)
        if self.token:
            stage["resumeAfter"] = RawBSONDocument(self.token)
        pipeline = [{"$changeStream": stage}, *self.stages]
        command = {"aggregate": self.aggregate, "pipeline": pipeline, "cursor": {"batchSize": size}}
        return database.command(command, codec_options=_RAW)

    def _page(self, reply: Mapping[str, Any]) -> ChangePage:
        cursor = reply["cursor"]
        self._cursor_id = int(cursor["id"])
        self._collection = str(cursor["ns"]).partition(".")[2]
        batch = cursor.get("firstBatch", cursor.get("nextBatch", ()))
        events = [bytes(event.raw) for event in batch]
        token = cursor.get("postBatchResumeToken") or (batch[-1]["_id"] if events else None)
        if token is not None:
            self.token = bytes(token.raw)
        return ChangePage(events, self.token)

    def _check(self, error: OperationFailure) -> None:
        """Raise an error that reopening the stream would not solve."""
        if error.code == _NAMESPACE_NOT_FOUND:
            raise CollectionGone from None
        text = str(error).lower()
        if error.code == _BAD_VALUE and any(each in text for each in _LOST_TEXTS):
            raise HistoryLost(
                "the source's change history no longer reaches back to the run's position "
                f"({str(error).partition(', full error')[0]})",
                "Take a new position and compare everything: dataworks resume RUN --resync",
            ) from None

    def _nothing(self, failure: Exception) -> ChangePage:
        """Return an empty page after a transient error; raise any other."""
        if isinstance(failure, Throttled):
            time.sleep(failure.delay_seconds or _BACKOFF.pause(1))
            return ChangePage((), self.token)
        is_cut = isinstance(failure, TransientError)
        if not is_cut or self._tries >= _BACKOFF.tries:
            raise failure from None
        time.sleep(_BACKOFF.pause(self._tries))
        self._tries += 1
        return ChangePage((), self.token)
