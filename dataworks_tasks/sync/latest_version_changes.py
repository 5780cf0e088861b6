"""Read the change streams of a Cosmos DB account with request units.

They have the latest version of each document, one stream for each physical partition of a
collection, no deletions, and no time (docs/cosmos-facts.md). All events of a page have the same
token, so positions lie between pages. A throttled stream answers with an empty page, so one empty
page does not say that everything was read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import decode, encode
from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.raw_bson import element_bytes, find_element
from dataworks_tasks.errors import TerminalError, UsageError
from dataworks_tasks.rate_limits.reads import ReadRateLimiter
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.retrying import retry_transient
from dataworks_tasks.sync.change_cursor import ChangeCursor, ChangePage, CollectionGone
from dataworks_tasks.sync.change_reader import CapturedChanges, DdlEvent
from dataworks_tasks.sync.untimed_changes import UntimedChanges

_OPTIONS = {"fullDocument": "updateLookup"}
_STAGES: Sequence[Mapping[str, Any]] = (
    {"$match": {"operationType": {"$in": ["insert", "update", "replace"]}}},
    {"$project": {"_id": 1, "fullDocument": 1, "ns": 1, "documentKey": 1}},
)
"""The only pipeline that the service accepts."""
_PAGE = 100
_AWAIT_MILLISECONDS, _LEAST_MILLISECONDS = 200, 10
_LOOK_SECONDS = 1.0
_EMPTY_PAGES = 3
"""This many empty pages in a row mean that there are no changes, if positions do not show it."""


@dataclass(slots=True)
class _Stream:
    """One physical partition of one collection."""

    pair: int
    cursor: ChangeCursor
    goal: Mapping[str, int] = field(default_factory=dict)
    empty_pages: int = 0

    @property
    def has_arrived(self) -> bool:
        """Whether everything up to the goal was read."""
        if self.empty_pages >= _EMPTY_PAGES:
            return True
        mine = positions_in(self.cursor.token)
        return bool(mine) and all(at >= self.goal.get(start, at) for start, at in mine.items())


class LatestVersionChanges(UntimedChanges):
    """Follows collections of an account from a position; a context manager.

    ``token``: an earlier position; empty: now. What was read is complete up to a moment once every
    partition has passed the position that it had then.
    """

    def __init__(
        self,
        source: BaseDatabaseClient,
        namespaces: tuple[NamespacePair, ...],
        token: bytes,
        clock: Callable[[], float],
        complete_to: float = 0.0,
        limiter: ReadRateLimiter | None = None,
    ) -> None:
        super().__init__(clock, complete_to)
        self._source, self._pairs, self._limiter = source, namespaces, limiter
        self._streams = [self._stream(pair, one) for pair, one in _tokens_of(token)]
        self._looked_at = 0.0
        self._goal_at: float | None = None

    def _has_position(self) -> bool:
        return bool(self._streams)

    def _begin_now(self) -> None:
        self._streams = [
            self._stream(number, one)
            for number, pair in enumerate(self._pairs)
            for one in partition_tokens(self._source, pair)
        ]

    def _close(self) -> None:
        for stream in self._streams:
            stream.cursor.close()

    def _read(self, captured: CapturedChanges, is_enough: Callable[[], bool]) -> None:
        self._look()
        found = True
        while found and captured.ddl is None:
            found = False
            for stream in self._streams:
                found = self._read_page(stream, captured) or found
                if captured.ddl or is_enough():
                    return
        captured.is_idle = True

    def _read_page(self, stream: _Stream, captured: CapturedChanges) -> bool:
        milliseconds = max(_LEAST_MILLISECONDS, _AWAIT_MILLISECONDS // len(self._streams))
        try:
            page = self._limited(stream, milliseconds)
        except CollectionGone:
            namespace = self._pairs[stream.pair].source
            captured.ddl = DdlEvent("drop", str(namespace), (stream.pair,))
            self._streams = [each for each in self._streams if each.pair != stream.pair]
            return False
        stream.empty_pages = 0 if page.events else stream.empty_pages + 1
        for event in page.events:
            key = find_element(_embedded(event, b"documentKey"), b"_id")
            captured.events += 1
            if key is not None:
                captured.keys[stream.pair, element_bytes(key)] = key
        return bool(page.events)

    def _limited(self, stream: _Stream, milliseconds: int) -> ChangePage:
        """Return the next page, within the run's budget for reading."""
        limiter = self._limiter
        if limiter is None:
            return stream.cursor.next_page(_PAGE, milliseconds)
        size = limiter.max_documents(_PAGE)
        reserved = limiter.reserve(1, time.sleep)
        page = stream.cursor.next_page(size, milliseconds)
        database = self._pairs[stream.pair].source.database
        limiter.record(reserved, b"".join(page.events), self._source.read_charge(database))
        return page

    def _look(self) -> None:
        """Read the partitions' positions, and check whether reading has reached earlier ones."""
        if self._goal_at is not None and all(each.has_arrived for each in self._streams):
            self._complete_to, self._goal_at = self._goal_at, None
        now = time.monotonic()
        if self._goal_at is not None or now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at, asked_at = now, self._clock()
        goals: dict[int, dict[str, int]] = {}
        for number in {stream.pair for stream in self._streams}:
            try:
                tokens = partition_tokens(self._source, self._pairs[number])
            except UsageError:
                return  # it was dropped: its stream says so
            goals[number] = {k: v for one in tokens for k, v in positions_in(one).items()}
        for stream in self._streams:
            stream.goal, stream.empty_pages = goals[stream.pair], 0
        self._goal_at = asked_at

    def _position(self) -> bytes:
        streams = [
            {"p": each.pair, "t": RawBSONDocument(each.cursor.token)} for each in self._streams
        ]
        return encode({"streams": streams})

    def _stream(self, pair: int, token: bytes) -> _Stream:
        namespace = self._pairs[pair].source
        cursor = ChangeCursor(
            self._source, namespace.database, namespace.collection, _OPTIONS, _STAGES, token
        )
        return _Stream(pair, cursor)


def partition_tokens(source: BaseDatabaseClient, pair: NamespacePair) -> list[bytes]:
    """Return the current position of each physical partition.

    Raises UsageError if the account has no change streams.
    """
    namespace = pair.source
    ask = {"customAction": "GetChangeStreamTokens", "collection": namespace.collection}
    try:
        reply = retry_transient(lambda: source.command(namespace.database, ask))
        return [encode(token) for token in reply["resumeAfterTokens"]]
    except (TerminalError, KeyError) as error:
        fact = error.fact if isinstance(error, TerminalError) else "it has no positions"
        raise UsageError(
            f"the change stream of {namespace} cannot be read: {fact}",
            "Serverless accounts have none: copy without --follow, and repair: "
            "dataworks verify RUN --live --repair",
        ) from None


def positions_in(token: bytes) -> dict[str, int]:
    """Return the position of each key range in a token; empty if the token cannot be read."""
    try:
        read = json.loads(bytes(decode(token)["_data"]))
        return {
            str(one["FeedRange"]["value"]["min"]): int(str(one["State"]["value"]).strip('"'))
            for one in read["Continuation"]
        }
    except (KeyError, TypeError, ValueError):
        return {}


def _tokens_of(position: bytes) -> list[tuple[int, bytes]]:
    if not position:
        return []
    return [(int(one["p"]), bytes(one["t"].raw)) for one in RawBSONDocument(position)["streams"]]


def _embedded(event: bytes, name: bytes) -> bytes:
    found = find_element(event, name)
    return found.value if found is not None else b"\x05\0\0\0\0"
