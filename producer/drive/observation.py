"""What an attached producer sees of a run, and the views that show it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol, Self

from dataworks_tasks.ledger.contract import RunProgress
from dataworks_tasks.monitor.standstill import GETS_ON, Standstill


class QueueDepth(NamedTuple):
    """Messages that wait, and messages that workers hold and have not acknowledged."""

    waiting: int
    in_hand: int


class StopRequest(Enum):
    """What the person at the terminal wants."""

    NONE = "none"
    NOW = "now"


@dataclass(frozen=True, slots=True)
class Observation:
    """What an attached producer sees: the ledger and the queue, or why it sees neither."""

    progress: RunProgress | None
    queue: QueueDepth | None
    outage: str | None = None
    standstill: Standstill = GETS_ON


class RunView(Protocol):
    """Shows a run while a command stays with it; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def observe(self, observation: Observation) -> None:
        """Show what the producer sees now."""

    def say(self, text: str) -> None:
        """Show a line to the person without disturbing the rest."""
