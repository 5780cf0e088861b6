"""One run's metrics at a moment, computed from samples of its progress."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from dataworks_tasks.ledger.contract import WORKING, RunProgress, RunState, WorkerReport
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.monitor.living_processes import living_processes, recent_reports
from dataworks_tasks.monitor.standstill import GETS_ON, Standstill
from dataworks_tasks.runs.batch_range import BatchRange

WINDOW_SECONDS = 5.0
"""The window of rates.

Workers acknowledge every few thousand documents, so a shorter one would make rates jump.
"""

_ACKNOWLEDGEMENTS_PER_WINDOW = 3
_LONGEST_WINDOW_SECONDS = 60.0
"""If a slow fleet acknowledges less often than once per window, the window grows up to this."""


@dataclass(frozen=True, slots=True)
class OperationMetrics:
    """A run at one moment.

    Rates are those of the last seconds, or of the complete run if it has ended.
    """

    run_id: str
    state: RunState
    documents: int
    documents_total: int
    bytes: int
    failures: int
    gaps: int
    seconds: float
    documents_per_second: float
    average_documents_per_second: float
    bytes_per_second: float
    request_units_per_second: float
    throttled_requests: int
    throttled_share: float
    """Share of the workers' time spent waiting because the database asked for it."""
    seconds_since_progress: float
    oldest_gap_seconds: float
    """How long the run's first gap has not moved; 0 for a run that is not active."""
    workers: tuple[WorkerReport, ...]
    """The worker processes that are alive and acknowledged something lately."""
    last_error: str | None
    cause: str | None = None
    """Why the run makes no progress, if known."""
    has_workers: bool = True
    """Whether a living worker takes from its queue."""
    lag_seconds: float | None = None
    """The age of the oldest change that is not at the target; None if nothing is followed."""
    history_seconds: float | None = None
    """How far the source's history reaches back before the run's position, if known."""
    silent_seconds: float = 0.0
    """How long the changes of a followed source have not been read."""

    @property
    def error_rate(self) -> float:
        """Share of the completed documents that could not be written, from 0 to 1."""
        completed = self.documents + self.failures
        return self.failures / completed if completed else 0.0

    @property
    def peak_worker_bytes(self) -> int:
        """The most memory that one of the workers has had."""
        return max((worker.peak_rss_bytes for worker in self.workers), default=0)


class _Sample(NamedTuple):
    at: float
    documents: int
    bytes: int
    request_units: int
    waited_seconds: float


class PerformanceMonitor:
    """Follows one run: each ``observe`` takes a sample and returns the current metrics."""

    def __init__(
        self,
        window_seconds: float = WINDOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window_seconds = window_seconds
        self._clock = clock
        self._samples: deque[_Sample] = deque()
        self._moved_at: float | None = None
        self._between_moves = 0.0
        self._gap_start: int | None = None
        self._gap_since = 0.0

    def observe(
        self,
        progress: RunProgress,
        first_gap: BatchRange | None = None,
        now: datetime | None = None,
        standstill: Standstill = GETS_ON,
    ) -> OperationMetrics:
        """Return the run's metrics; ``now`` is compared with the ledger's times."""
        moment = now or datetime.now(UTC)
        counters = progress.counters
        sample = _Sample(
            self._clock(),
            counters.get(RunCounter.DOCUMENTS, 0),
            counters.get(RunCounter.BYTES, 0),
            # Charges that the server did not report are estimated from other writes.
            counters.get(RunCounter.REQUEST_UNITS, 0)
            + counters.get(RunCounter.REQUEST_UNITS_ESTIMATED, 0),
            counters.get(RunCounter.WAITED_MILLISECONDS, 0) / 1000,
        )
        before = self._earlier(sample)
        workers = recent_reports(progress.workers, moment.timestamp())
        if standstill.workers is not None:
            workers = living_processes(workers, standstill.workers)
        seconds = ((progress.finished_at or moment) - progress.created_at).total_seconds()
        working = progress.state in WORKING
        if before is None or not working:
            # Without an earlier sample: the rate of the complete run.
            before, elapsed = _Sample(0, 0, 0, 0, 0), seconds
        else:
            elapsed = sample.at - before.at
        gauge = progress.following if working else None
        silent = 0.0 if gauge is None else max(0.0, moment.timestamp() - gauge.seen_at)
        # A run that follows its source has nothing to do while nothing changes.
        idle = gauge is not None and not progress.gaps
        moved_at = progress.last_acknowledged_at or progress.created_at
        return OperationMetrics(
            run_id=progress.run_id,
            state=progress.state,
            documents=sample.documents,
            # More than planned: a collection grows while it is copied.
            documents_total=max(progress.documents_expected or 0, sample.documents),
            bytes=sample.bytes,
            failures=progress.failures,
            gaps=progress.gaps,
            seconds=seconds,
            documents_per_second=_rate(sample.documents - before.documents, elapsed),
            average_documents_per_second=_rate(sample.documents, seconds),
            bytes_per_second=_rate(sample.bytes - before.bytes, elapsed),
            request_units_per_second=_rate(sample.request_units - before.request_units, elapsed),
            throttled_requests=counters.get(RunCounter.THROTTLED_REQUESTS, 0),
            throttled_share=min(
                1.0,
                _rate(sample.waited_seconds - before.waited_seconds, elapsed)
                / max(1, len(workers)),
            ),
            seconds_since_progress=(moment - moved_at).total_seconds()
            if working and not idle
            else 0.0,
            oldest_gap_seconds=self._gap_age(first_gap, sample.at) if working else 0.0,
            workers=workers,
            last_error=progress.last_error,
            cause=standstill.cause,
            has_workers=standstill.has_workers,
            lag_seconds=None if gauge is None else gauge.lag_seconds + silent,
            history_seconds=None if gauge is None else gauge.history_seconds,
            silent_seconds=silent,
        )

    def _earlier(self, sample: _Sample) -> _Sample | None:
        """Add ``sample``, and return the sample from about one window ago."""
        samples = self._samples
        if samples and sample.documents != samples[-1].documents:
            self._move(sample.at)
        samples.append(sample)
        wanted = max(self._window_seconds, self._between_moves * _ACKNOWLEDGEMENTS_PER_WINDOW)
        window = min(wanted, max(self._window_seconds, _LONGEST_WINDOW_SECONDS))
        while len(samples) > 2 and sample.at - samples[1].at >= window:
            samples.popleft()
        return samples[0] if sample.at > samples[0].at else None

    def _move(self, now: float) -> None:
        """Learn the time between acknowledgements."""
        if self._moved_at is not None:
            self._between_moves += (now - self._moved_at - self._between_moves) / 2
        self._moved_at = now

    def _gap_age(self, gap: BatchRange | None, now: float) -> float:
        start = gap.start if gap is not None else None
        if start != self._gap_start:
            self._gap_start, self._gap_since = start, now
        return now - self._gap_since if start is not None else 0.0


def _rate(amount: float, seconds: float) -> float:
    return max(0.0, amount) / seconds if seconds > 0 else 0.0
