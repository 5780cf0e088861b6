"""Collections in which several documents have the same ``_id``.

Cosmos DB keeps ``_id`` unique only within each value of the shard key, and sharded MongoDB only
within each shard. Reading such a collection cannot continue after an ``_id``: there may be more
documents with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from dataworks_tasks.documents.bson_types import DOUBLE, STRING
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, element_bytes
from dataworks_tasks.scan.key_space import ID, key_of
from dataworks_tasks.store.shard_key import value_at

_TOLD_APART_BY_BYTES = frozenset({0x05, 0x07, 0x08, 0x09, 0x10, 0x11, 0x12})
"""Binary, ObjectId, bool, date, int, timestamp, long: values of one type that differ in bytes
differ in order, whatever the collation."""


def told_apart(one: Element, other: Element, simple_order: bool = False) -> bool:
    """Return whether the server certainly considers two keys different.

    ``simple_order``: strings compare by their bytes, because there is no collation.
    """
    if one.type != other.type or one.value == other.value:
        return False
    if one.type == DOUBLE:
        return any(bytes(key.value[:7]) != bytes(7) for key in (one, other))  # 0.0 equals -0.0
    return one.type in _TOLD_APART_BY_BYTES or (simple_order and one.type == STRING)


@dataclass(frozen=True, slots=True)
class RepeatedIds:
    """What identifies a document whose ``_id`` is not enough: the values of the shard key too."""

    shard_key: tuple[str, ...]
    simple_order: bool = False

    def identity(self, document: bytes) -> bytes:
        """Return a digest of what identifies the document."""
        values = [value_at(document, path) for path in self.shard_key]
        parts = [element_bytes(value, b"") if value else b"-" for value in values]
        id_ = key_of(document, ID)
        return blake2b(element_bytes(id_, b"") + b"".join(parts), digest_size=16).digest()


@dataclass(slots=True)
class LastGroup:
    """The documents read last that may share their ``_id`` with those that come next."""

    ids: RepeatedIds
    key: Element | None = None
    _seen: set[bytes] = field(default_factory=set)

    def add(self, batch: EncodedBatch) -> None:
        """Remember the documents that were read."""
        last = len(batch) - 1
        key = key_of(batch.document(last), ID)
        start = last
        while start > 0 and not self._apart(key_of(batch.document(start - 1), ID), key):
            start -= 1
        if start > 0 or (self.key is not None and self._apart(self.key, key)):
            self._seen.clear()
        self._seen.update(self.ids.identity(batch.document(row)) for row in range(start, last + 1))
        self.key = key

    def unread(self, batch: EncodedBatch) -> EncodedBatch:
        """Return the part of a batch, read again from ``key`` on, that was not read before."""
        if not self._seen:
            return batch
        rows = [
            row
            for row in range(len(batch))
            if self.ids.identity(batch.document(row)) not in self._seen
        ]
        return batch if len(rows) == len(batch) else batch.select(rows)

    def _apart(self, one: Element, other: Element) -> bool:
        return told_apart(one, other, self.ids.simple_order)
