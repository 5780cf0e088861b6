"""Read the change stream of Azure DocumentDB: opaque tokens, no cluster time, a small history."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

from dataworks_tasks.documents.raw_bson import Element, element_bytes, elements, find_element
from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.sync.change_cursor import ChangeCursor
from dataworks_tasks.sync.change_reader import CapturedChanges
from dataworks_tasks.sync.untimed_changes import UntimedChanges

_PAGE = 5_000
_AWAIT_MILLISECONDS = 200
_IDLE_SECONDS = 0.1
"""``getMore`` answers at once, even if there are no events."""


class OpaqueChanges(UntimedChanges):
    """Follows collections of a cluster from a position; a context manager.

    ``token``: an earlier position; empty: now. Reading is complete up to the moment of the newest
    request that was answered without events. ``complete_to``: the moment of ``token``.
    """

    def __init__(
        self,
        source: BaseDatabaseClient,
        namespaces: tuple[NamespacePair, ...],
        token: bytes,
        clock: Callable[[], float],
        complete_to: float = 0.0,
    ) -> None:
        super().__init__(clock, complete_to)
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

    def _has_position(self) -> bool:
        return bool(self._cursor.token)

    def _begin_now(self) -> None:
        if not self._cursor.next_page(1, 0).token:
            raise UsageError(
                "the source's change stream gives no position to begin at",
                "Switch change streams on for the cluster; or copy without --follow, and "
                "repair: dataworks verify RUN --live --repair",
            )

    def _close(self) -> None:
        self._cursor.close()

    def _position(self) -> bytes:
        return self._cursor.token

    def _read(self, captured: CapturedChanges, is_enough: Callable[[], bool]) -> None:
        while not is_enough():
            asked_at = self._clock()
            page = self._cursor.next_page(_PAGE, _AWAIT_MILLISECONDS)
            if not page.events:
                captured.is_idle = True
                self._complete_to = asked_at
                time.sleep(_IDLE_SECONDS)
                return
            for event in page.events:
                self._add(event, captured)

    def _add(self, event: bytes, captured: CapturedChanges) -> None:
        captured.events += 1
        fields = {element.name: element for element in elements(event)}
        pair = self._pairs.get(_names(fields.get(b"ns")))
        key = find_element(fields[b"documentKey"].value, b"_id")
        if pair is not None and key is not None:
            captured.keys[pair, element_bytes(key)] = key
        wall = fields.get(b"wallTime")
        if wall is not None:
            # Times have whole seconds: more events of the same second may follow.
            before = struct.unpack("<q", wall.value)[0] / 1000 - 1
            self._complete_to = max(self._complete_to, before)


def _names(where: Element | None) -> tuple[bytes, bytes]:
    if where is None:
        return b"", b""
    fields = {element.name: element.value[4:-1] for element in elements(where.value)}
    return fields.get(b"db", b""), fields.get(b"coll", b"")
