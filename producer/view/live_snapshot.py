"""What a run is doing now, for people who watch it: figures, rates, collections, workers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from dataworks_tasks.ledger.contract import FINISHED, Ledger, RunProgress, WorkerReport
from dataworks_tasks.ledger.run_counters import DOCUMENTS_OF
from dataworks_tasks.monitor.alert_rules import AlertRule, alert_rules
from dataworks_tasks.monitor.alerts import Alert, AlertBoard
from dataworks_tasks.monitor.operation import OperationMetrics, PerformanceMonitor
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import GenerationJob, MigrationJob, RunSpec
from dataworks_tasks.settings import FrameworkConfig
from producer.drive.observation import Observation, QueueDepth
from producer.view.differences import DifferenceGroup
from producer.view.remaining_time import RemainingTime
from producer.view.run_summary import RunSummary, once_copied, summarize, with_differences
from producer.view.time_left import TimeLeft

if TYPE_CHECKING:
    from producer.view.follow_figures import FollowFigures

_RATE_WINDOW_SECONDS = 3.0
_FEW_DIFFERENCES = 2000
"""Grouping them reads all of them."""
_CLOSER_SECONDS = 1.0
"""The first gap, and the collections' shares in a generation run, are read this often: that costs
as many steps as there are gaps."""


@dataclass(frozen=True, slots=True)
class CollectionProgress:
    """One collection of a run. ``total`` is None before its first slice is planned."""

    name: str
    documents: int
    total: int | None
    documents_per_second: float = 0.0

    @property
    def share(self) -> float:
        """The share that is done, from 0 to 1."""
        return min(1.0, self.documents / self.total) if self.total else float(self.total == 0)

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return {**asdict(self), "documents_per_second": round(self.documents_per_second, 1)}


def busiest_first(collections: Iterable[CollectionProgress]) -> list[CollectionProgress]:
    """Sort collections: growing ones by rate, then begun ones, then the others, then done ones."""

    def place(one: CollectionProgress) -> tuple[float, int, float]:
        begun = 0 if 0 < one.share < 1 else 2 if one.share >= 1 else 1
        return -one.documents_per_second, begun, -one.share

    return sorted(collections, key=place)


@dataclass(frozen=True, slots=True)
class WorkerProgress:
    """One living worker process of the run."""

    name: str
    documents_per_second: float
    documents: int
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True)
class AlertWatch:
    """Which thresholds a view compares the run with, and who else is notified."""

    rules: tuple[AlertRule, ...] = ()
    notify: Callable[[Alert], None] | None = None

    @classmethod
    def of(cls, config: FrameworkConfig, *, notifies: bool = False) -> Self:
        """Create the watch from the settings; ``notifies``: also call their webhook."""
        url = config.alert_webhook_url if notifies else None
        if url is None:
            return cls(alert_rules(config))
        from dataworks_tasks.monitor.webhook import Webhook

        return cls(alert_rules(config), Webhook(url))


@dataclass(frozen=True, slots=True)
class LiveSnapshot:
    """A run as shown to a person who watches it.

    ``alerts`` are the limits that are exceeded now; ``transitions`` began or ended just now.
    """

    run: RunSummary
    metrics: OperationMetrics
    collections: tuple[CollectionProgress, ...]
    workers: tuple[WorkerProgress, ...]
    queue: QueueDepth | None
    alerts: tuple[Alert, ...] = ()
    transitions: tuple[Alert, ...] = ()
    following: FollowFigures | None = None
    """How far a migration that follows its source lags behind it."""

    @property
    def is_planning(self) -> bool:
        """Whether the total may grow; a run that follows its source has none until it ends."""
        return self.run.planning and (self.following is None or self.following.is_copying)

    @property
    def time_left(self) -> TimeLeft | None:
        """The time until the run is complete; None when it cannot be estimated."""
        return self.run.time_left

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines: the run's own, and ``now``."""
        run = self.run.as_json()
        following = {"following": self.following.as_json()} if self.following else {}
        return {
            **run,
            **following,
            "now": {
                "documents_per_second": round(self.metrics.documents_per_second, 1),
                "bytes_per_second": round(self.metrics.bytes_per_second, 1),
                "request_units_per_second": round(self.metrics.request_units_per_second, 1),
                "throttled_share": round(self.metrics.throttled_share, 4),
                "seconds_left": run["seconds_left"],
                "seconds_left_between": run["seconds_left_between"],
                "queue": None if self.queue is None else self.queue._asdict(),
                "collections": [collection.as_json() for collection in self.collections],
                "workers": [asdict(worker) for worker in self.workers],
                "alerts": list(self.alerts),
            },
        }


class RateMeter:
    """Documents per second over the last few seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, documents: int) -> float:
        """Take a sample; return the current rate."""
        now = self._clock()
        self._samples.append((now, documents))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _RATE_WINDOW_SECONDS:
            self._samples.popleft()
        then, before = self._samples[0]
        return (documents - before) / (now - then) if now > then else 0.0


NO_ALERTS = AlertWatch()


class LiveMeter:
    """Takes snapshots of one run from what a producer observes."""

    def __init__(
        self,
        spec: RunSpec,
        ledger: Ledger,
        watch: AlertWatch = NO_ALERTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec = spec
        self._ledger = ledger
        self._clock = clock
        self._board = AlertBoard(watch.rules)
        self._notify = watch.notify
        self._monitor = PerformanceMonitor(_RATE_WINDOW_SECONDS, clock)
        self._worker_meters: dict[str, RateMeter] = {}
        self._collection_meters: dict[str, RateMeter] = {}
        self._remaining: RemainingTime | None = None
        self._left: TimeLeft | None = None
        self._grouped: tuple[int, tuple[DifferenceGroup, ...]] = (0, ())
        self._collections: tuple[CollectionProgress, ...] = ()
        self._gap: BatchRange | None = None
        self._looked_at = float("-inf")
        self._following: FollowFigures | None = None

    def read(self, observation: Observation) -> LiveSnapshot | None:
        """Return the current figures; None if the ledger was never reached.

        Raises LedgerUnavailable.
        """
        progress = observation.progress
        if progress is None:
            return None
        if observation.outage is None:
            self._look_closer(progress)
            self._left = self._time_left(progress)
        standstill = observation.standstill
        metrics = self._monitor.observe(progress, self._gap, standstill=standstill)
        transitions = self._board.check(metrics) if observation.outage is None else []
        if self._notify is not None:
            for alert in transitions:
                self._notify(alert)
        run = summarize(self._spec, progress, cause=standstill.cause, time_left=self._left)
        is_copied = self._following is not None and not self._following.is_copying
        return LiveSnapshot(
            self._with_differences(once_copied(run, is_copied=is_copied)),
            metrics,
            self._collections,
            tuple(self._worker(worker) for worker in metrics.workers),
            observation.queue,
            self._board.raised,
            tuple(transitions),
            self._following,
        )

    def _with_differences(self, run: RunSummary) -> RunSummary:
        """Add the groups of differences; if there are many, only once the verification is over."""
        if run.is_over or run.failures <= _FEW_DIFFERENCES:
            if run.failures != self._grouped[0]:
                self._grouped = run.failures, with_differences(run, self._ledger).differences
            return replace(run, differences=self._grouped[1])
        return run

    def _time_left(self, progress: RunProgress) -> TimeLeft | None:
        if self._remaining is None:
            self._remaining = RemainingTime.of(self._ledger, self._spec)
        return self._remaining.observe(progress)

    def _worker(self, report: WorkerReport) -> WorkerProgress:
        meter = self._worker_meters.setdefault(report.name, RateMeter(self._clock))
        rate = meter.add(report.documents)
        return WorkerProgress(report.name, rate, report.documents, report.peak_rss_bytes)

    def _look_closer(self, progress: RunProgress) -> None:
        """Read what costs more than a round trip, from time to time and at the end."""
        now = self._clock()
        ended = progress.finished_at is not None
        is_due = ended or now - self._looked_at >= _CLOSER_SECONDS
        if is_due:
            self._looked_at = now
            run_id = self._spec.run_id
            self._gap = next(self._ledger.gaps(run_id), None) if progress.gaps else None
            self._following = self._follow(progress)
        if is_due or self._spec.is_sliced:
            found = collections(self._ledger, self._spec, progress)
            self._collections = tuple(map(self._with_rate, found))

    def _follow(self, progress: RunProgress) -> FollowFigures | None:
        if not self._spec.follows:
            return None
        # The change reader imports the driver: too much for the status of other runs.
        from producer.view.follow_figures import follow_figures

        return follow_figures(self._ledger, self._spec, progress)

    def _with_rate(self, one: CollectionProgress) -> CollectionProgress:
        meter = self._collection_meters.setdefault(one.name, RateMeter(self._clock))
        return replace(one, documents_per_second=meter.add(one.documents))


def collections(
    ledger: Ledger, spec: RunSpec, progress: RunProgress
) -> tuple[CollectionProgress, ...]:
    """Return the run's collections; none for a run of one. Failed documents count as done."""
    job = spec.data_job
    if isinstance(job, MigrationJob):
        if len(job.namespaces) < 2:
            return ()
        is_copied = job.follow is not None and ledger.key_windows.is_copied(spec.run_id)
        return tuple(_copies(job, progress, is_copied=is_copied))
    return () if len(job.parts) < 2 else tuple(_parts(ledger, spec.run_id, job))


def _copies(
    job: MigrationJob, progress: RunProgress, *, is_copied: bool
) -> Iterator[CollectionProgress]:
    """Yield a migration's collections.

    The planned count grows until everything is planned, and can differ from what was read: a
    collection that is followed grows.
    """
    is_complete = is_copied or progress.state in FINISHED
    for name in (str(pair.target) for pair in job.namespaces):
        if job.follow is not None and not _is_counted(name, progress):
            continue  # added after the copy: its documents are not counted separately
        count = progress.counters.get(f"{DOCUMENTS_OF}{name}", 0)
        planned = progress.collections_expected.get(name)
        total = count if is_complete else planned if planned is None else max(planned, count)
        yield CollectionProgress(name, count, total)


def _is_counted(name: str, progress: RunProgress) -> bool:
    return f"{DOCUMENTS_OF}{name}" in progress.counters or name in progress.collections_expected


def _parts(ledger: Ledger, run_id: str, job: GenerationJob) -> list[CollectionProgress]:
    found = []
    for part in job.parts:
        left = sum(gap.size for gap in ledger.gaps(run_id, part.range)) if part.count else 0
        found.append(CollectionProgress(str(part.namespace), part.count - left, part.count))
    return found
