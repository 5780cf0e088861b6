"""The ledger as metrics for Prometheus and other readers of OpenMetrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.ledger.contract import WORKING, RunProgress
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.monitor.alerts import Alert
from dataworks_tasks.monitor.metrics import newest_runs
from dataworks_tasks.monitor.worker_listing import ProcessState, WorkerListing, list_workers
from dataworks_tasks.version import __version__

_RUNS = 50
_SHOWN_AFTER_END_SECONDS = 3600.0
"""A run stays in the metrics for an hour after its end: long enough for every scraper to see its
last values, short enough that labels do not pile up."""

_MILLISECONDS = 1000.0

_Value = Callable[[RunProgress], float | None]

_COUNTERS: tuple[tuple[str, str, _Value], ...] = (
    (
        "documents",
        "Documents acknowledged by the target.",
        lambda run: _counter(run, RunCounter.DOCUMENTS),
    ),
    ("bytes", "Bytes of the acknowledged documents.", lambda run: _counter(run, RunCounter.BYTES)),
    (
        "throttled_requests",
        "Writes that the target throttled.",
        lambda run: _counter(run, RunCounter.THROTTLED_REQUESTS),
    ),
    (
        "retried_requests",
        "Writes that were sent again after a transient error.",
        lambda run: _counter(run, RunCounter.RETRIED_REQUESTS),
    ),
    (
        "request_units",
        "Request units that writes cost on Azure Cosmos DB, as reported by the server.",
        lambda run: _counter(run, RunCounter.REQUEST_UNITS),
    ),
    (
        "request_units_estimated",
        "Estimated request units of writes whose cost the server did not report.",
        lambda run: _counter(run, RunCounter.REQUEST_UNITS_ESTIMATED),
    ),
    (
        "waited_seconds",
        "Seconds that workers waited before sending writes again.",
        lambda run: _counter(run, RunCounter.WAITED_MILLISECONDS) / _MILLISECONDS,
    ),
)

_GAUGES: tuple[tuple[str, str, _Value], ...] = (
    (
        "documents_expected",
        "Documents of the run; grows while a migration is planned.",
        lambda run: run.documents_expected,
    ),
    (
        "ranges_planned",
        "Document indexes or slices that are planned.",
        lambda run: run.planned,
    ),
    (
        "ranges_acknowledged",
        "Document indexes or slices that are acknowledged.",
        lambda run: run.acknowledged,
    ),
    ("gaps", "Ranges that are not acknowledged.", lambda run: run.gaps),
    ("failures", "Documents on record that could not be written.", lambda run: run.failures),
    (
        "notes_to_read",
        "Notes that a person should read: what the source changed, what was left out.",
        lambda run: sum(note.attention for note in run.notes),
    ),
    (
        "created_timestamp_seconds",
        "When the run was created, in seconds since 1970.",
        lambda run: run.created_at.timestamp(),
    ),
    (
        "last_acknowledged_timestamp_seconds",
        "When something was last acknowledged, in seconds since 1970.",
        lambda run: run.last_acknowledged_at.timestamp() if run.last_acknowledged_at else None,
    ),
    (
        "lag_seconds",
        "Age of the oldest change that is not at the target, when the source was read last.",
        lambda run: run.following.lag_seconds if run.following else None,
    ),
    (
        "history_seconds",
        "How far the source's change history reaches back before the run's position.",
        lambda run: run.following.history_seconds if run.following else None,
    ),
    (
        "source_read_timestamp_seconds",
        "When the source's changes were last read, in seconds since 1970.",
        lambda run: run.following.seen_at if run.following else None,
    ),
)


class LedgerCollector(Collector):
    """Reads the ledger at each scrape.

    ``alerts`` returns the limits that are exceeded now, ``queue`` the messages that wait and those
    that workers hold; it raises DataWorksError when the broker does not answer.
    """

    def __init__(
        self,
        ledger: RedisLedger,
        alerts: Callable[[], Iterable[Alert]] = lambda: (),
        queue: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self._ledger = ledger
        self._alerts = alerts
        self._queue = queue

    def describe(self) -> Iterable[Metric]:
        """Nothing is read when it is registered: Redis may not be up yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; if Redis does not answer, only one that says so."""
        up = GaugeMetricFamily("dataworks_ledger_up", "Whether the ledger's Redis answers.")
        info = GaugeMetricFamily("dataworks_build_info", "The version.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        try:
            runs = [run for run in newest_runs(self._ledger, _RUNS) if _is_shown(run)]
            listing = list_workers(self._ledger, runs)
        except DataWorksError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _run_metrics(runs)
        yield from _worker_metrics(listing)
        if self._queue is not None:
            yield from _queue_metrics(self._queue)
        active = GaugeMetricFamily(
            "dataworks_alert_active", "1 for a threshold that is exceeded.", labels=["run", "alert"]
        )
        for alert in self._alerts():
            active.add_metric([alert["run"], alert["name"]], 1)
        yield active


def _queue_metrics(queue: Callable[[], tuple[int, int]]) -> Iterator[Metric]:
    """Yield nothing if the broker does not answer: a queue of 0 would look like a run's end."""
    messages = GaugeMetricFamily(
        "dataworks_queue_messages",
        "Messages that wait, and messages that workers hold.",
        labels=["state"],
    )
    try:
        waiting, in_hand = queue()
    except DataWorksError:
        return
    messages.add_metric(["waiting"], waiting)
    messages.add_metric(["in_hand"], in_hand)
    yield messages


def _run_metrics(runs: list[RunProgress]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "dataworks_run_state", "1 for the state that the run is in.", labels=["run", "state"]
    )
    for run in runs:
        state.add_metric([run.run_id, run.state.value], 1)
    yield state
    for family, described in ((CounterMetricFamily, _COUNTERS), (GaugeMetricFamily, _GAUGES)):
        for name, text, value in described:
            yield _filled(family(f"dataworks_run_{name}", text, labels=["run"]), runs, value)


def _filled(
    metric: CounterMetricFamily | GaugeMetricFamily, runs: list[RunProgress], value: _Value
) -> Metric:
    for run in runs:
        number = value(run)
        if number is not None:
            metric.add_metric([run.run_id], number)
    return metric


def _worker_metrics(listing: WorkerListing) -> Iterator[Metric]:
    """Yield how many workers are alive, and the latest report of each process that is."""
    alive = GaugeMetricFamily("dataworks_workers", "Workers that are alive.")
    alive.add_metric([], listing.alive)
    yield alive
    documents = CounterMetricFamily(
        "dataworks_worker_documents", "Documents that the process completed.", labels=["worker"]
    )
    memory = GaugeMetricFamily(
        "dataworks_worker_peak_memory_bytes",
        "Peak memory of the process.",
        labels=["worker"],
    )
    reported = GaugeMetricFamily(
        "dataworks_worker_last_report_timestamp_seconds",
        "When the process last acknowledged, in seconds since 1970.",
        labels=["worker"],
    )
    living = [row.report for row in listing.rows if row.state is not ProcessState.ENDED]
    for worker in sorted(living, key=lambda report: report.name):
        documents.add_metric([worker.name], worker.documents)
        memory.add_metric([worker.name], worker.peak_rss_bytes)
        reported.add_metric([worker.name], worker.reported_at)
    yield from (documents, memory, reported)


def _counter(run: RunProgress, name: str) -> int:
    return run.counters.get(name, 0)


def _is_shown(run: RunProgress) -> bool:
    if run.state in WORKING or run.finished_at is None:
        return True
    return (datetime.now(UTC) - run.finished_at).total_seconds() < _SHOWN_AFTER_END_SECONDS
