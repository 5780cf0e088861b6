"""How long a migration takes, computed from the measured rate of one process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from producer.estimate.measured_copy import CopyMeasurement, CopySite, measure_copy
from producer.estimate.migration_estimate import MigrationEstimate

_MEASURED = 3
"""How many collections are measured, the largest ones: the others count as their average."""
_BEGINNING_SECONDS = 0.3
"""Planning the first slices, sending them and finishing: the time of a migration of 100 documents
with workers that are waiting, measured on two busy cores (0.26 to 0.35 s)."""
_UNKNOWN = 0.1
"""Relative error besides that of the measurement: workers share servers and networks, and the
documents at one end of a collection are not those at the other."""


@dataclass(frozen=True, slots=True)
class MigrationTime:
    """The time that a fleet of ``workers`` processes takes, with its error.

    ``written``: writing was measured, and building indexes. Otherwise it is the time of reading.
    ``limit``: documents per second that the run is allowed; None: as many as there can be.
    """

    documents: int
    rate: float
    workers: int
    error: float
    index_seconds: float
    written: bool
    limit: float | None = None

    @property
    def copy_seconds(self) -> float:
        """Copying documents, in seconds."""
        rate = self.rate * self.workers
        if self.limit is not None:
            rate = min(rate, self.limit)
        return self.documents / rate if rate else 0.0

    @property
    def seconds(self) -> float:
        """The complete time, in seconds."""
        return _BEGINNING_SECONDS + self.copy_seconds + self.index_seconds

    @property
    def error_seconds(self) -> float:
        """Standard error of ``seconds``."""
        return self.seconds * self.error

    def workers_for(self, seconds: float) -> int | None:
        """Return how many workers finish within ``seconds``; None if no number is enough."""
        left = seconds - _BEGINNING_SECONDS - self.index_seconds
        if left <= 0 or not self.rate:
            return None
        needed = self.documents / left
        if self.limit is not None and needed > self.limit:
            return None
        return max(1, math.ceil(needed / self.rate))


def measure_time(
    site: CopySite,
    estimate: MigrationEstimate,
    workers: int,
    seconds: float,
    *,
    write: bool,
    limit: float | None = None,
) -> MigrationTime:
    """Measure the largest collections for ``seconds`` in all, and compute the time of all."""
    largest = sorted(estimate.namespaces, key=lambda item: item.bytes, reverse=True)
    chosen = [item.pair for item in largest[:_MEASURED] if item.documents]
    found = [measure_copy(site, pair, seconds / len(chosen), write=write) for pair in chosen]
    return _time(estimate, found, workers, limit, written=write)


def _time(
    estimate: MigrationEstimate,
    found: Sequence[CopyMeasurement],
    workers: int,
    limit: float | None,
    *,
    written: bool,
) -> MigrationTime:
    documents = sum(item.documents for item in found)
    took = sum(item.seconds for item in found)
    average = documents / took if took else 0.0
    rates = {item.pair.source: item.rate for item in found if item.rate}
    seconds = sum(
        item.documents / rate
        for item in estimate.namespaces
        if (rate := rates.get(item.pair.source, average))
    )
    each = sum(item.index_seconds for item in found) / documents if documents else 0.0
    return MigrationTime(
        documents=estimate.documents,
        rate=estimate.documents / seconds if seconds else 0.0,
        workers=workers,
        error=math.hypot(_UNKNOWN, *(item.spread for item in found)),
        index_seconds=each * estimate.documents,
        written=written,
        limit=limit,
    )
