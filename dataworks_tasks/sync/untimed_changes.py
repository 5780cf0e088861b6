"""Change streams whose positions have no time, such as those of Azure's services."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

from bson.timestamp import Timestamp

from dataworks_tasks.sync.change_reader import CapturedChanges


class UntimedChanges(ABC):
    """Follows collections from a position; a context manager.

    ``clock``: the moment by which the run's lag is measured. ``complete_to``: the moment of the
    starting position; reading is complete up to it until there is a later one.
    """

    def __init__(self, clock: Callable[[], float], complete_to: float) -> None:
        self._clock, self._complete_to = clock, complete_to

    def __enter__(self) -> Self:
        if not self._has_position():
            self._complete_to = self._clock()
            self._begin_now()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(self, most_keys: int, seconds: float) -> CapturedChanges:
        """Read the next changes in complete pages: about ``most_keys`` keys or ``seconds``."""
        captured = CapturedChanges()
        until = time.monotonic() + seconds
        self._read(captured, lambda: len(captured.keys) >= most_keys or time.monotonic() >= until)
        captured.token = self._position()
        captured.position_time = Timestamp(int(self._complete_to), 0)
        return captured

    @abstractmethod
    def _has_position(self) -> bool:
        """Return whether an earlier position was given."""

    @abstractmethod
    def _begin_now(self) -> None:
        """Open the streams at the current position."""

    @abstractmethod
    def _read(self, captured: CapturedChanges, is_enough: Callable[[], bool]) -> None:
        """Read pages into ``captured`` until nothing is left, or ``is_enough`` after a page."""

    @abstractmethod
    def _position(self) -> bytes:
        """Return the position after the last page."""

    @abstractmethod
    def _close(self) -> None:
        """Close the streams."""
