"""Read the change stream of Azure DocumentDB: opaque tokens, no cluster time, a small history."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from bson.timestamp import Timestamp

from dataworks_tasks.documents.raw_bson import Element, element_bytes, elements, find_element
from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.sync.change_cursor import ChangeCursor
from dataworks_tasks.sync.change_reader import CapturedChanges

_PAGE = 5_000
_AWAIT_MILLISECONDS = 200
_IDLE_SECONDS = 0.1
"""``getMore`` answers at once, with nothing where nothing is there."""


class OpaqueChanges:
    """Follows collections of a cluster from a position; a context manager.

    ``token``: an earlier position; empty: now. ``clock``: the moment by which the run's lag is
    measured: positions have no time, so an answer without events is taken for one of that moment.
    ``complete_to``: the moment of ``token``.
    """

    def __init__(
        self,
        source: BaseDatabaseClient,
        namespaces: tuple[NamespacePair, ...],
        token: bytes,
        clock: Callable[[], float],
        complete_to: float = 0.0,
    ) -> None:
        self._pairs = {
            (pair.source.database.encode(), pair.source.collection.encode()): number
            for number, pair in enumerate(namespaces)
        }
        names = [
            {"ns.db": database.decode(), "ns.coll": collection.decode()}
            for database, collection in self._pairs
        ]
        project = {"operationType": 1, "documentKey": 1, "ns": 1, "wallTime": 1}
        stages: list[Mapping[str, Any]] = [{"$match": {"$or": names}}, {"$project": project}]
        options = {"allChangesForCluster": True}
        self._cursor = ChangeCursor(source, "admin", 1, options, stages, token)
        self._clock, self._complete_to = clock, complete_to

    def __enter__(self) -> Self:
        if not self._cursor.token:
            self._complete_to = self._clock()
            if not self._cursor.next_page(1, 0).token:
                raise UsageError(
                    "the source's change stream gives no position to begin at",
                    "Switch change streams on for the cluster; or copy without --follow, and "
                    "repair: dataworks verify RUN --live --repair",
                )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cursor.close()

    def read(self, most_keys: int, seconds: float) -> CapturedChanges:
        """Read the next changes: about so many keys, and for about so many seconds."""
        captured = CapturedChanges()
        until = time.monotonic() + seconds
        while len(captured.keys) < most_keys:
            asked_at = self._clock()
            page = self._cursor.next_page(_PAGE, _AWAIT_MILLISECONDS)
            if not page.events:
                captured.is_idle = True
                self._complete_to = asked_at
                time.sleep(_IDLE_SECONDS)
                break
            for event in page.events:
                self._take(event, captured)
            if time.monotonic() >= until:
                break
        captured.token = self._cursor.token
        captured.position_time = Timestamp(int(self._complete_to), 0)
        return captured

    def _take(self, event: bytes, captured: CapturedChanges) -> None:
        captured.events += 1
        fields = {element.name: element for element in elements(event)}
        pair = self._pairs.get(_names(fields.get(b"ns")))
        key = find_element(fields[b"documentKey"].value, b"_id")
        if pair is not None and key is not None:
            captured.keys[pair, element_bytes(key)] = key
        wall = fields.get(b"wallTime")
        if wall is not None:
            # Whole seconds: others of the same second may follow.
            before = struct.unpack("<q", wall.value)[0] / 1000 - 1
            self._complete_to = max(self._complete_to, before)


def _names(where: Element | None) -> tuple[bytes, bytes]:
    if where is None:
        return b"", b""
    fields = {element.name: element.value[4:-1] for element in elements(where.value)}
    return fields.get(b"db", b""), fields.get(b"coll", b"")
