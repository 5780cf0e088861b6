"""Every key of some collections, of both sides, page by page from a position on.

After a collection was dropped or replaced, no event reports its changes, so every key of either
side is reconciled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from bson.timestamp import Timestamp

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, element_bytes
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.scan.read_slice import SliceSource, read_slice
from dataworks_tasks.scan.slice import EACH_TYPE_APART
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.sync.wanted import id_of

_KEYS_AT_ONCE = 5000
_ONLY_ID = {"_id": 1}


@dataclass(frozen=True, slots=True)
class EveryKey:
    """The rest: ``pairs``, and for the first one its ``side`` (0 target, 1 source) and type group.

    ``after``: the last key of that group that was handed out, as hexadecimal BSON.
    """

    pairs: tuple[int, ...] = ()
    side: int = 0
    group: int = 0
    after: str = ""

    def to_bytes(self) -> bytes:
        """Encode it for the ledger; empty if nothing is left."""
        if not self.pairs:
            return b""
        return json.dumps([self.pairs, self.side, self.group, self.after]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode the ledger's text."""
        if not data:
            return cls()
        pairs, side, group, after = json.loads(data)
        return cls(tuple(pairs), side, group, after)

    def with_pairs(self, pairs: Sequence[int]) -> EveryKey:
        """Return the same with all of ``pairs`` added."""
        return EveryKey(tuple(sorted({*self.pairs, *pairs})))

    @property
    def _next(self) -> EveryKey:
        """Return the rest after this type group."""
        if self.group + 1 < len(EACH_TYPE_APART):
            return replace(self, group=self.group + 1, after="")
        if self.side == 0:
            return replace(self, side=1, group=0, after="")
        return EveryKey(self.pairs[1:])

    def page(
        self,
        clients: tuple[BaseDatabaseClient, BaseDatabaseClient],
        namespaces: Sequence[NamespacePair],
        at_least: Timestamp,
    ) -> tuple[list[Element], EveryKey]:
        """Return the next keys, of the pair ``pairs[0]``, and the rest after them.

        ``clients``: target and source; the source is read no older than ``at_least``.
        """
        pair = namespaces[self.pairs[0]]
        where = SliceSource(
            clients[self.side],
            (pair.target, pair.source)[self.side],
            batch_size=_KEYS_AT_ONCE,
            projection=_ONLY_ID,
            at_least=at_least if self.side else None,
        )
        data = bytes.fromhex(self.after)
        after = Element(data[0], b"_id", data[5:]) if data else None
        for keys in _pages(read_slice(where, EACH_TYPE_APART[self.group], after)):
            return keys, replace(self, after=element_bytes(keys[-1], b"_id").hex())
        return [], self._next


def _pages(batches: Iterator[EncodedBatch]) -> Iterator[list[Element]]:
    for batch in batches:
        if keys := [id_of(document) for document in batch.documents()]:
            yield keys
