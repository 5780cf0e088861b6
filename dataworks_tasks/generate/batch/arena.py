"""Byte strings laid end to end, each found by its start and length: Arrow's binary array."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
Bytes = NDArray[np.uint8]


def windows(buffer: Bytes, width: int) -> NDArray[np.void]:
    """Return every run of ``width`` bytes in ``buffer``, as overlapping elements of one array.

    Reading or writing such elements by index moves ``width`` bytes at once, wherever they lie;
    it is what makes a batch cheap to assemble.
    """
    return np.ndarray((buffer.size - width + 1,), dtype=f"V{width}", buffer=buffer, strides=(1,))


class Arena:
    """A pool of byte strings, read by number.

    The buffer ends with as much padding as the longest string has bytes, so that a read of that
    width stays inside whichever string it starts at.
    """

    __slots__ = (
        "_prefixed",
        "_tables",
        "_windows",
        "buffer",
        "lengths",
        "longest",
        "shortest",
        "starts",
    )

    def __init__(self, strings: Iterable[bytes]) -> None:
        parts = list(strings)
        self.lengths: Positions = np.fromiter(map(len, parts), np.int64, len(parts))
        self.starts: Positions = np.cumsum(self.lengths) - self.lengths
        self.longest = int(self.lengths.max(initial=0))
        self.shortest = int(self.lengths.min()) if parts else 0
        self.buffer: Bytes = np.frombuffer(b"".join([*parts, bytes(self.longest)]), np.uint8)
        self._windows: dict[int, NDArray[np.void]] = {}
        self._prefixed: dict[bytes, Arena] = {}
        self._tables: dict[bytes, NDArray[np.void]] = {}

    @classmethod
    def over(cls, buffer: Bytes, starts: Positions, lengths: Positions) -> Arena:
        """Build an arena of the strings in ``buffer``, which must end with the padding."""
        arena = cls(())
        arena.buffer, arena.starts, arena.lengths = buffer, starts, lengths
        arena.longest = int(lengths.max(initial=0))
        arena.shortest = int(lengths.min(initial=arena.longest))
        return arena

    def __len__(self) -> int:
        return len(self.lengths)

    def strings(self) -> list[bytes]:
        """All strings in order."""
        data = self.buffer.tobytes()
        ends = self.starts + self.lengths
        return [
            data[start:end] for start, end in zip(self.starts.tolist(), ends.tolist(), strict=True)
        ]

    def windows(self, width: int) -> NDArray[np.void]:
        """Return the buffer's ``windows``; cached."""
        found = self._windows.get(width)
        if found is None:
            found = self._windows[width] = windows(self.buffer, width)
        return found

    def table(self, prefix: bytes) -> NDArray[np.void]:
        """Return each string after ``prefix``, padded to one width with what follows. Cached.

        Reading from it by number is one move of memory, where the arena itself needs two.
        """
        found = self._tables.get(prefix)
        if found is None:
            width = len(prefix) + self.longest
            block = np.empty((len(self), width), np.uint8)
            block[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
            rows = self.windows(self.longest)[self.starts]
            block[:, len(prefix) :] = rows.view(np.uint8).reshape(len(self), self.longest)
            found = self._tables[prefix] = block.view(f"V{width}").ravel()
        return found

    def prefixed(self, prefix: bytes) -> Arena:
        """Return these strings with ``prefix`` before each, such as a field name. Cached."""
        found = self._prefixed.get(prefix)
        if found is None:
            found = Arena(prefix + string for string in self.strings())
            self._prefixed[prefix] = found
        return found
