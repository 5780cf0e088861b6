"""When work on a run stops, and who finishes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StopSignal:
    """When to stop working on a range: at the deadline, or when the run is paused or cancelled.

    What is not completed by then stays a gap.
    """

    deadline: float  # of time.monotonic
    interrupted: Callable[[], bool] = lambda: False

    @property
    def reached(self) -> bool:
        """Whether to start nothing new."""
        return self.interrupted() or time.monotonic() >= self.deadline


class FinishLease(Protocol):
    """An exclusive lease on the finishing phase of a run: indexes, computed fields, counts.

    A holder notes its position, and the next holder continues there; it is empty at first.
    """

    @property
    def position(self) -> str:
        """The position that was noted last."""

    @property
    def reached(self) -> bool:
        """Whether to stop and return, with the position noted; the work continues from there."""

    def note(self, position: str) -> None:
        """Record that everything up to ``position`` is done."""

    def show(self, describe: Callable[[], str]) -> None:
        """Call ``describe`` every few seconds, on another thread, for a line about progress."""


class UnlimitedLease:
    """A lease that never ends and reports to nobody."""

    position = ""
    reached = False

    def note(self, position: str) -> None:
        """Do nothing: no other process will continue from here."""

    def show(self, describe: Callable[[], str]) -> None:
        """Do nothing: nobody watches."""
