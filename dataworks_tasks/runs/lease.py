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
    """A lease at what comes behind a run's last document: indexes, computed fields, counts.

    ``position``: what ``note`` was given last, by whoever had the lease before; empty at first.
    """

    @property
    def position(self) -> str: ...

    @property
    def reached(self) -> bool:
        """Whether to leave, with what is done noted: the work comes back here."""

    def note(self, position: str) -> None:
        """Everything up to ``position`` is done."""

    def show(self, tell: Callable[[], str]) -> None:
        """Ask ``tell`` every few seconds, on another thread, for a line that says how far it is."""


class UnlimitedLease:
    """A lease that lasts as long as it takes, shown to nobody."""

    position = ""
    reached = False

    def note(self, position: str) -> None:
        """See FinishLease. Nothing comes back, so nothing is kept."""

    def show(self, tell: Callable[[], str]) -> None:
        """See FinishLease."""
