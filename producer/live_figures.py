"""What a run does right now, for whoever watches it: figures, rates, collections, workers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from dataworks_tasks.ledger.contract import Ledger, RunProgress, WorkerReport
from dataworks_tasks.monitor.operation import OperationMetrics, PerformanceMonitor
from dataworks_tasks.run_spec import GenerationJob, MigrationJob, RunSpec, VerificationJob
from producer.dispatch import Observation
from producer.message_queue import QueueDepth
from producer.run_figures import RunFigures, figures

_RATE_WINDOW_SECONDS = 3.0
_COLLECTIONS_SECONDS = 1.0
"""The collections' shares are read this often: that costs as many steps as there are gaps."""


@dataclass(frozen=True, slots=True)
class CollectionFigures:
    """One collection of a run. ``total`` is None where the ledger does not know it."""

    name: str
    documents: int
    total: int | None


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """One living worker process of the run."""

    name: str
    documents_per_second: float
    documents: int
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """A run as a person who watches it sees it."""

    run: RunFigures
    metrics: OperationMetrics
    collections: tuple[CollectionFigures, ...]
    workers: tuple[WorkerFigures, ...]
    queue: QueueDepth | None

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the last document; None when there is no telling."""
        rate = self.metrics.documents_per_second
        if rate <= 0 or self.run.planning or self.run.is_over:
            return None
        return (self.run.documents_total - self.run.documents) / rate

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines: the run's own, and ``now``."""
        left = self.seconds_left
        return {
            **self.run.as_json(),
            "now": {
                "documents_per_second": round(self.metrics.documents_per_second, 1),
                "bytes_per_second": round(self.metrics.bytes_per_second, 1),
                "request_units_per_second": round(self.metrics.request_units_per_second, 1),
                "throttled_share": round(self.metrics.throttled_share, 4),
                "seconds_left": None if left is None else round(left, 1),
                "queue": None if self.queue is None else self.queue._asdict(),
                "collections": [asdict(collection) for collection in self.collections],
                "workers": [asdict(worker) for worker in self.workers],
            },
        }


class RateMeter:
    """Documents per second over the last few seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, documents: int) -> float:
        """Take a sample; the rate now."""
        now = self._clock()
        self._samples.append((now, documents))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _RATE_WINDOW_SECONDS:
            self._samples.popleft()
        then, before = self._samples[0]
        return (documents - before) / (now - then) if now > then else 0.0


class LiveMeter:
    """Makes LiveFigures of what is observed of one run."""

    def __init__(
        self, spec: RunSpec, ledger: Ledger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._spec = spec
        self._ledger = ledger
        self._clock = clock
        self._monitor = PerformanceMonitor(_RATE_WINDOW_SECONDS, clock)
        self._worker_meters: dict[str, RateMeter] = {}
        self._collections: tuple[CollectionFigures, ...] = ()
        self._collections_at = float("-inf")

    def read(self, observation: Observation) -> LiveFigures | None:
        """The figures now; None when the ledger was never reached.

        Raises LedgerUnavailable.
        """
        progress = observation.progress
        if progress is None:
            return None
        metrics = self._monitor.observe(progress)
        if observation.outage is None:
            self._read_collections(progress)
        return LiveFigures(
            figures(self._spec, progress),
            metrics,
            self._collections,
            tuple(self._worker(worker) for worker in metrics.workers),
            observation.queue,
        )

    def _worker(self, report: WorkerReport) -> WorkerFigures:
        meter = self._worker_meters.setdefault(report.name, RateMeter(self._clock))
        rate = meter.add(report.documents)
        return WorkerFigures(report.name, rate, report.documents, report.peak_rss_bytes)

    def _read_collections(self, progress: RunProgress) -> None:
        now = self._clock()
        ended = progress.finished_at is not None
        if ended or now - self._collections_at >= _COLLECTIONS_SECONDS:
            self._collections_at = now
            self._collections = collections(self._ledger, self._spec, progress)


def collections(
    ledger: Ledger, spec: RunSpec, progress: RunProgress
) -> tuple[CollectionFigures, ...]:
    """The run's collections; none for a run of one. Documents that failed count as done."""
    job = spec.job.of if isinstance(spec.job, VerificationJob) else spec.job
    if isinstance(job, MigrationJob):
        if len(job.namespaces) < 2 or spec.job is not job:
            return ()
        names = [str(pair.target) for pair in job.namespaces]
        counts = [progress.counters.get(f"documents:{name}", 0) for name in names]
        return tuple(
            CollectionFigures(name, count, None) for name, count in zip(names, counts, strict=True)
        )
    return () if len(job.parts) < 2 else tuple(_parts(ledger, spec.run_id, job))


def _parts(ledger: Ledger, run_id: str, job: GenerationJob) -> list[CollectionFigures]:
    found = []
    for part in job.parts:
        left = sum(gap.size for gap in ledger.gaps(run_id, part.range)) if part.count else 0
        found.append(CollectionFigures(str(part.namespace), part.count - left, part.count))
    return found
