"""The progress of a run over time, and what people did to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class HistorySample:
    """A run's counters at one moment. ``at`` is in seconds since 1970, by Redis' clock.

    ``lag_seconds``: of a run that follows its source.
    """

    at: float
    documents: int
    bytes: int
    failures: int
    lag_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something that a person did to a run, such as pausing it. ``at``: seconds since 1970."""

    at: float
    who: str
    action: str


class RunHistories(Protocol):
    """The history of every run. All methods raise what ``contract.Ledger`` raises."""

    def sample(self, run_id: str) -> None:
        """Add the run's counters as of now, unless the latest sample is recent."""

    def read(self, run_id: str) -> tuple[HistorySample, ...]:
        """Return every sample that is kept, oldest first; evenly thinned out in a long run."""

    def record_event(self, run_id: str, event: RunEvent) -> None:
        """Keep an event; the oldest of many is forgotten."""

    def events(self, run_id: str) -> tuple[RunEvent, ...]:
        """Return the events that are kept, oldest first."""
