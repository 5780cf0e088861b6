"""Pages of at most 4 MB: what is left of a larger batch waits here for the next getMore."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from producer.cosmos_simulator.wire import decode_reply, encode_reply

LARGEST_PAGE_BYTES = 4 * 1024 * 1024
"""Size of the complete answer: PyMongo refuses one longer than hello's maxMessageSizeBytes."""

_BYTES_AROUND_DOCUMENTS = 4096
_BYTES_AROUND_A_DOCUMENT = 12
"""An array element's type and its index as text."""

HELD_CURSORS = 64
"""Cursors with waiting documents. Beyond this number the oldest is dropped: its getMore gets 43."""

_FIRST_OWN_CURSOR_ID = 1 << 62
"""mongod's ids are random: the simulator's own start where a collision is very unlikely."""


@dataclass(slots=True)
class _HeldBatch:
    namespace: str
    documents: list[RawBSONDocument]
    mongod_cursor_id: int


class ResultPages:
    """Cuts answers to size. Shared by all connections: a getMore may come over another one."""

    def __init__(self) -> None:
        self._held: OrderedDict[int, _HeldBatch] = OrderedDict()
        self._own_ids = itertools.count(_FIRST_OWN_CURSOR_ID)

    def cut(self, reply: bytes, response_to: int) -> bytes:
        """Return ``reply``, or its first page if it is too large."""
        if len(reply) <= LARGEST_PAGE_BYTES:
            return reply
        cursor = decode_reply(reply).get("cursor")
        if cursor is None:
            return reply
        field = "firstBatch" if "firstBatch" in cursor else "nextBatch"
        mongod_cursor_id = int(cursor["id"])
        held = _HeldBatch(cursor["ns"], list(cursor[field]), mongod_cursor_id)
        return self._page(held, mongod_cursor_id or next(self._own_ids), field, response_to)

    def next_page(self, cursor_id: int, response_to: int) -> bytes | None:
        """Return the next page that is held for a cursor, or None."""
        held = self._held.pop(cursor_id, None)
        return self._page(held, cursor_id, "nextBatch", response_to) if held else None

    def forget(self, cursor_id: int) -> None:
        """Give up what is held for a cursor."""
        self._held.pop(cursor_id, None)

    def _page(self, held: _HeldBatch, cursor_id: int, field: str, response_to: int) -> bytes:
        count = _count_that_fits(held.documents)
        page, held.documents = held.documents[:count], held.documents[count:]
        if held.documents:
            self._held[cursor_id] = held
            if len(self._held) > HELD_CURSORS:
                self._held.popitem(last=False)
        else:
            cursor_id = held.mongod_cursor_id
        cursor: dict[str, Any] = {field: page, "id": Int64(cursor_id), "ns": held.namespace}
        return encode_reply({"cursor": cursor, "ok": 1}, response_to)


def _count_that_fits(documents: list[RawBSONDocument]) -> int:
    """Return how many documents make a page; at least one, whatever its size."""
    size = _BYTES_AROUND_DOCUMENTS
    for count, document in enumerate(documents):
        size += len(document.raw) + _BYTES_AROUND_A_DOCUMENT
        if size > LARGEST_PAGE_BYTES:
            return max(1, count)
    return len(documents)
