"""An encoded batch: BSON documents laid end to end, as they go over the wire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from struct import Struct

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]

_LENGTH = Struct("<i")
_SHORTEST = 5
"""Bytes of the empty document."""


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """Documents as one run of bytes.

    Document ``i`` is ``data[offsets[i]:offsets[i + 1]]``; ``offsets`` has one entry more than
    there are documents and ends with ``len(data)``. This is the payload of an ``insert`` command's
    document sequence, so a batch is sent without touching its documents one by one.
    """

    data: bytes
    offsets: Offsets

    @classmethod
    def of(cls, documents: Iterable[bytes]) -> EncodedBatch:
        """Build a batch from documents that are encoded separately."""
        parts = list(documents)
        offsets = np.fromiter(
            accumulate(map(len, parts), initial=0), dtype=np.int64, count=len(parts) + 1
        )
        return cls(b"".join(parts), offsets)

    @classmethod
    def parse(cls, data: bytes) -> EncodedBatch:
        """Split bytes from the wire into documents, each of which begins with its length.

        Raises ValueError when the lengths do not add up to ``len(data)``.
        """
        offsets = [0]
        position, end = 0, len(data)
        length_at, append = _LENGTH.unpack_from, offsets.append
        while position < end:
            length = length_at(data, position)[0] if position + 4 <= end else 0
            if length < _SHORTEST:
                raise ValueError(f"a BSON document of length {length} at byte {position}")
            position += length
            append(position)
        if position != end:
            raise ValueError(f"the last BSON document ends at byte {position} of {end}")
        return cls(data, np.array(offsets, dtype=np.int64))

    @classmethod
    def join(cls, batches: Sequence[EncodedBatch]) -> EncodedBatch:
        """Return one batch with the documents of all ``batches`` in order."""
        if len(batches) == 1:
            return batches[0]
        starts = accumulate((len(batch.data) for batch in batches), initial=0)
        shifted = [
            batch.offsets[:-1] + start for batch, start in zip(batches, starts, strict=False)
        ]
        total = sum(len(batch.data) for batch in batches)
        offsets = np.concatenate([*shifted, np.array([total], dtype=np.int64)])
        return cls(b"".join(batch.data for batch in batches), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def size_bytes(self) -> int:
        """The bytes of all documents together."""
        return len(self.data)

    def document(self, position: int) -> bytes:
        """Return the document at ``position``."""
        return self.data[int(self.offsets[position]) : int(self.offsets[position + 1])]

    def documents(self) -> Iterator[bytes]:
        """Yield each document's bytes, in order."""
        for start, stop in pairwise(self.offsets.tolist()):
            yield self.data[start:stop]

    def slice(self, start: int, stop: int) -> EncodedBatch:
        """Return the documents ``[start, stop)``."""
        if start == 0 and stop == len(self):
            return self
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        return EncodedBatch(self.data[first:last], self.offsets[start : stop + 1] - first)

    def select(self, positions: Sequence[int]) -> EncodedBatch:
        """Return the documents at ``positions``, in that order."""
        rows = np.asarray(positions, dtype=np.int64)
        starts, stops = self.offsets[rows], self.offsets[rows + 1]
        pieces = zip(starts.tolist(), stops.tolist(), strict=True)
        data = b"".join([self.data[start:stop] for start, stop in pieces])
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(stops - starts, out=offsets[1:])
        return EncodedBatch(data, offsets)

    def split(self, max_documents: int, max_bytes: int) -> Iterator[EncodedBatch]:
        """Consecutive batches of at most ``max_documents`` and ``max_bytes``.

        A single document larger than ``max_bytes`` makes a batch of its own: the server decides
        whether it accepts it.
        """
        start, count = 0, len(self)
        while start < count:
            limit = int(self.offsets[start]) + max_bytes
            fitting = int(np.searchsorted(self.offsets, limit, side="right")) - 1
            stop = min(max(fitting, start + 1), start + max_documents, count)
            yield self.slice(start, stop)
            start = stop
