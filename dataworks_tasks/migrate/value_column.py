"""One piece of bytes from each of many documents."""

from __future__ import annotations

import numpy as np

from dataworks_tasks.documents.encoded_batch import Offsets


class ValueColumn:
    """Pieces of bytes, one for each of many documents with the same layout."""

    __slots__ = ("_data", "_starts", "_stops", "_values")

    def __init__(self, data: bytes, starts: Offsets, stops: Offsets) -> None:
        self._data, self._starts, self._stops = data, starts, stops
        self._values: list[bytes] | None = None

    def keep(self, rows: Offsets) -> None:
        """Leave out the documents that are not in ``rows``."""
        self._starts, self._stops = self._starts[rows], self._stops[rows]

    def joined(self, other: ValueColumn) -> ValueColumn | None:
        """Join both into one; ``other`` begins where this ends in every document."""
        if self._data is not other._data or (self._stops != other._starts).any():
            return None
        return ValueColumn(self._data, self._starts, other._stops)

    def lengths(self) -> Offsets:
        """Return the length of each value."""
        return self._stops - self._starts

    def values(self) -> list[bytes]:
        """Return each piece."""
        if self._values is None:
            data = self._data
            spans = zip(self._starts.tolist(), self._stops.tolist(), strict=True)
            self._values = [data[start:stop] for start, stop in spans]
        return self._values

    @classmethod
    def of(cls, values: list[bytes]) -> ValueColumn:
        """Build a column of ``values``."""
        lengths = np.fromiter(map(len, values), dtype=np.int64, count=len(values))
        made = cls(b"", np.zeros_like(lengths), lengths)
        made._values = values
        return made
