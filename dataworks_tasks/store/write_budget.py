"""What a write may spend of its run's budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dataworks_tasks.store.write_outcome import WriteOutcome


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a write was allowed to spend of the run's budget."""

    documents: int
    request_units: float
    epoch: int = 0
    """The controller's epoch in which it was allowed."""


class RateLimiter(Protocol):
    """The run's budget, as ``write_batch`` asks it. Used by several threads at once."""

    def max_documents(self, bytes_per_document: float) -> int | None:
        """Return the most documents that one write should have; None: no limit."""

    def reserve(
        self, documents: int, size_bytes: int, until: float | None = None
    ) -> Reservation | None:
        """Wait until the budget allows a write; return None if that is not before ``until``.

        ``until`` is of ``time.monotonic``.
        """

    def record(self, reservation: Reservation, outcome: WriteOutcome) -> None:
        """Record what the write cost, and how much of it was throttled."""
