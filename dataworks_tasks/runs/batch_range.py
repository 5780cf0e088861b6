"""A batch range: half-open ``[start, stop)``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class BatchRange(NamedTuple):
    """Document indexes of a generation run, or slice numbers of a migration: ``[start, stop)``."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many indexes or slices it covers."""
        return self.stop - self.start

    def __str__(self) -> str:
        return f"[{self.start}:{self.stop})"

    def split(self, size: int) -> Iterator[BatchRange]:
        """Consecutive chunks of at most ``size``."""
        for start in range(self.start, self.stop, size):
            yield BatchRange(start, min(start + size, self.stop))
