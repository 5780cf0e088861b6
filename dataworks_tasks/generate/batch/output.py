"""The bytes of a batch while they are written, a column at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch.arena import Arena, Bytes, Positions, windows


class Output:
    """The bytes of a batch while they are written."""

    __slots__ = ("_windows", "buffer")

    def __init__(self, size: int) -> None:
        self.buffer: Bytes = np.empty(size, np.uint8)
        self._windows: dict[int, NDArray[np.void]] = {}

    def put(self, positions: Positions, values: NDArray[Any]) -> None:
        """Write each value, a fixed number of bytes, at its position."""
        if not len(positions):
            return
        width = values.dtype.itemsize
        target = self._windows.get(width)
        if target is None:
            target = self._windows[width] = windows(self.buffer, width)
        target[positions] = values

    def put_strings(
        self, positions: Positions, arena: Arena, starts: Positions, lengths: Positions
    ) -> None:
        """Write strings exactly: a length from W to 2W is two overlapping writes of W bytes."""
        classes = np.frexp(lengths)[1]
        for power in np.flatnonzero(np.bincount(classes)).tolist():
            if power == 0:
                continue
            width = 1 << (power - 1)
            rows = np.flatnonzero(classes == power)
            source, target = starts[rows], positions[rows]
            views = arena.windows(width)
            self.put(target, views[source])
            rest = lengths[rows] - width
            self.put(target + rest, views[source + rest])
