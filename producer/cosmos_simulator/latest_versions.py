"""The change feed of an account with request units: the latest version of each document.

There is no log. A partition knows when each document was last changed, by a growing number (LSN).
Reading goes by that number: versions in between are gone, and so are deletions.
"""

from __future__ import annotations

import base64
import itertools
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from bson.binary import Binary
from bson.raw_bson import RawBSONDocument

_FIRST_LSN_OF_A_WRITE = 10**9
"""Documents that were there before the simulator have lower numbers."""
_KEY_SPACE = 16**4
_START_EXACT_TO_SECONDS = 5
"""A start by time begins at most this much earlier."""
_resource_ids = itertools.count(1)


@dataclass(slots=True)
class Partition:
    """One physical partition: keys in the order of their latest change."""

    _latest: dict[bytes, int] = field(default_factory=dict)
    _lsns: list[int] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)
    _keys: list[bytes] = field(default_factory=list)
    _next: int = _FIRST_LSN_OF_A_WRITE

    def record(self, key: bytes, at: float) -> None:
        """Record a write of the document."""
        self._append(self._next, at, key)
        self._next += 1
        if len(self._keys) > 2 * len(self._latest) + 1000:
            self._compact()

    def add_earlier(self, keys: Iterable[bytes]) -> None:
        """Add documents of which only the existence is known."""
        new = [key for key in keys if key not in self._latest]
        self._latest.update({key: lsn for lsn, key in enumerate(new, 1)})
        self._lsns[:0] = range(1, len(new) + 1)
        self._times[:0] = [0.0] * len(new)
        self._keys[:0] = new

    def forget(self, key: bytes) -> None:
        """Forget a deleted document."""
        self._latest.pop(key, None)

    def after(self, lsn: int, limit: int) -> list[tuple[int, bytes]]:
        """Return the next documents, each by its latest change."""
        start = bisect_right(self._lsns, lsn)
        current = (
            (self._lsns[index], self._keys[index])
            for index in range(start, len(self._lsns))
            if self._latest.get(self._keys[index]) == self._lsns[index]
        )
        return list(itertools.islice(current, limit))

    def lsn_before(self, at: float) -> int:
        """Return the last change before a moment."""
        index = bisect_left(self._times, at)
        return self._lsns[index - 1] if index else 0

    @property
    def last(self) -> int:
        """The latest change."""
        return self._lsns[-1] if self._lsns else 0

    def _append(self, lsn: int, at: float, key: bytes) -> None:
        self._latest[key] = lsn
        self._lsns.append(lsn)
        self._times.append(at)
        self._keys.append(key)

    def _compact(self) -> None:
        kept = [
            index
            for index, key in enumerate(self._keys)
            if self._latest.get(key) == self._lsns[index]
        ]
        self._lsns = [self._lsns[index] for index in kept]
        self._times = [self._times[index] for index in kept]
        self._keys = [self._keys[index] for index in kept]


class CollectionFeed:
    """A collection's partitions. A recreated collection has another resource id."""

    def __init__(self, partitions: int) -> None:
        self.partitions = [Partition() for _ in range(partitions)]
        self.resource_id = base64.b64encode(next(_resource_ids).to_bytes(8)).decode()
        self.knows_earlier_documents = False

    def record(self, key: bytes, document: bytes | None, at: float) -> None:
        """Record a written document, or a deleted one if it is None."""
        partition = self.partition_of(key)
        if document is None:
            partition.forget(key)
        else:
            partition.record(key, at)

    def partition_of(self, key: bytes) -> Partition:
        """Return the partition by the shard key's value, the first of the key's fields."""
        first = next(iter(RawBSONDocument(key).items()))
        digest = blake2b(repr(first).encode(), digest_size=4).digest()
        return self.partitions[int.from_bytes(digest) % len(self.partitions)]

    def positions_now(self) -> dict[int, int]:
        """Return the latest change of each partition."""
        return {number: each.last for number, each in enumerate(self.partitions)}

    def positions_at(self, seconds: int) -> dict[int, int]:
        """Return each partition's last change before a time, exact only to some seconds."""
        rounded = seconds - seconds % _START_EXACT_TO_SECONDS
        return {number: each.lsn_before(rounded) for number, each in enumerate(self.partitions)}

    def token(self, positions: Mapping[int, int]) -> dict[str, Any]:
        """Return a resume token for some of the partitions."""
        ranges = [
            {"FeedRange": self._range(number), "State": {"type": "continuation", "value": str(lsn)}}
            for number, lsn in sorted(positions.items())
        ]
        text = json.dumps({"V": 2, "Rid": self.resource_id, "Continuation": ranges})
        return {"_data": Binary(text.encode())}

    def positions(self, token: Mapping[str, Any]) -> dict[int, int] | None:
        """Decode a token; None if it is not a token of this collection."""
        try:
            read = json.loads(bytes(token["_data"]))
            if read["Rid"] != self.resource_id:
                return None
            ranges = [self._range(number) for number in range(len(self.partitions))]
            return {
                ranges.index(one["FeedRange"]): int(one["State"]["value"])
                for one in read["Continuation"]
            }
        except (KeyError, TypeError, ValueError):
            return None

    def _range(self, number: int) -> dict[str, Any]:
        width = _KEY_SPACE // len(self.partitions)
        start = "" if number == 0 else f"{number * width:04X}"
        stop = "FF" if number == len(self.partitions) - 1 else f"{(number + 1) * width:04X}"
        return {"type": "Effective Partition Key Range", "value": {"min": start, "max": stop}}


def next_page(
    feed: CollectionFeed, positions: Mapping[int, int], limit: int
) -> tuple[dict[int, int], Sequence[bytes]]:
    """Return where the next page ends, and the keys of its documents, partition by partition."""
    after = dict(positions)
    keys: list[bytes] = []
    for number, lsn in positions.items():
        found = feed.partitions[number].after(lsn, limit - len(keys))
        if found:
            after[number] = found[-1][0]
            keys += [key for _, key in found]
        if len(keys) >= limit:
            break
    return after, keys
