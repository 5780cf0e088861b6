"""The fleet's current performance, and callbacks for exceeded limits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Self

from dataworks_tasks.errors import DataWorksError, UnknownName
from dataworks_tasks.ledger.connect import Patience, connect_ledger
from dataworks_tasks.ledger.contract import WORKING, RunProgress
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.monitor.alert_rules import alert_rules
from dataworks_tasks.monitor.alerts import Alert, AlertBoard
from dataworks_tasks.monitor.operation import OperationMetrics, PerformanceMonitor
from dataworks_tasks.monitor.standstill import standstill
from dataworks_tasks.monitor.webhook import Webhook
from dataworks_tasks.settings import ConfigManager, FrameworkConfig

log = logging.getLogger(__name__)

AlertCallback = Callable[[Alert], None]

_NEWEST_RUNS = 50
"""Runs that are read: each costs a round trip."""


@dataclass(frozen=True, slots=True)
class PerformanceSnapshot:
    """The fleet at one moment: the active runs, or the newest one if none is active."""

    at: datetime
    runs: tuple[OperationMetrics, ...]

    @property
    def documents_per_second(self) -> float:
        """The sum of all runs."""
        return sum(run.documents_per_second for run in self.runs)

    @property
    def bytes_per_second(self) -> float:
        """The sum of all runs."""
        return sum(run.bytes_per_second for run in self.runs)

    @property
    def documents(self) -> int:
        """Documents that are acknowledged."""
        return sum(run.documents for run in self.runs)

    @property
    def failures(self) -> int:
        """Documents on record that could not be written."""
        return sum(run.failures for run in self.runs)

    @property
    def error_rate(self) -> float:
        """Share of the completed documents that could not be written, from 0 to 1."""
        completed = self.documents + self.failures
        return self.failures / completed if completed else 0.0

    @property
    def throttled_share(self) -> float:
        """The highest share of any run."""
        return max((run.throttled_share for run in self.runs), default=0.0)

    @property
    def workers(self) -> int:
        """Worker processes that are alive."""
        return len({worker.name for run in self.runs for worker in run.workers})

    @property
    def peak_worker_bytes(self) -> int:
        """The most memory that one worker process has had."""
        return max((run.peak_worker_bytes for run in self.runs), default=0)


class MetricsCollector:
    """Reads the ledger, so it shows the entire fleet from anywhere.

    ``get_current_performance`` reads now. As a context manager, or after ``start``, it also reads
    every few seconds in the background, so that rates are those of the last seconds and alerts are
    raised at once. Alerts go to the log, to the callbacks and to the webhook of the settings.
    """

    def __init__(self, config: FrameworkConfig | None = None, run_id: str | None = None) -> None:
        """``config`` is this process' own if not given; ``run_id`` narrows it to one run."""
        self._config = config or ConfigManager().load_config()
        self._run_id = run_id
        self._ledger: RedisLedger = connect_ledger(self._config, Patience.WATCH)
        self._monitors: dict[str, PerformanceMonitor] = {}
        self._board = AlertBoard(alert_rules(self._config))
        self._callbacks: list[AlertCallback] = [_log_alert]
        if self._config.alert_webhook_url is not None:
            self._callbacks.append(Webhook(self._config.alert_webhook_url))
        self._lock = Lock()
        self._stopped = Event()
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_alert_callback(self, callback: AlertCallback) -> None:
        """Call ``callback(alert)`` for each alert; ``alert['message']`` is a sentence."""
        self._callbacks.append(callback)

    @property
    def active_alerts(self) -> tuple[Alert, ...]:
        """The limits that are exceeded now."""
        return self._board.raised

    def get_current_performance(self) -> PerformanceSnapshot:
        """Read the ledger, report new alerts, and return what was read.

        Raises LedgerUnavailable, and UnknownName for a ``run_id`` that is not on record.
        """
        with self._lock:
            runs = tuple(self._observe(progress) for progress in self._progress())
            self._forget_others({run.run_id for run in runs})
            transitions = [alert for run in runs for alert in self._board.check(run)]
        for alert in transitions:
            for callback in self._callbacks:
                callback(alert)
        return PerformanceSnapshot(datetime.now(UTC), runs)

    def start(self, every_seconds: float = 2.0) -> None:
        """Read in the background from now on, in a thread."""
        if self._thread is None:
            self._stopped.clear()
            self._thread = Thread(
                target=self._watch, args=(every_seconds,), name="dataworks-metrics", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Stop reading, and close the connection."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._ledger.close()

    def _watch(self, every_seconds: float) -> None:
        while not self._stopped.wait(every_seconds):
            try:
                self.get_current_performance()
            except DataWorksError as error:
                log.warning("cannot read the metrics: %s; trying again", error)

    def _progress(self) -> list[RunProgress]:
        if self._run_id is not None:
            return [self._ledger.progress(self._run_id)]
        newest = list(newest_runs(self._ledger, _NEWEST_RUNS))
        # A run with an alert is read until the alert has ended.
        alerting = {alert["run"] for alert in self._board.raised}
        chosen = [run for run in newest if run.state in WORKING or run.run_id in alerting]
        return chosen or newest[:1]

    def _observe(self, progress: RunProgress) -> OperationMetrics:
        monitor = self._monitors.setdefault(progress.run_id, PerformanceMonitor())
        gap = next(self._ledger.gaps(progress.run_id), None) if progress.gaps else None
        return monitor.observe(progress, gap, standstill=standstill(self._ledger, progress))

    def _forget_others(self, run_ids: set[str]) -> None:
        for run_id in self._monitors.keys() - run_ids:
            del self._monitors[run_id]
        self._board.keep_only(run_ids)


def newest_runs(ledger: RedisLedger, limit: int) -> Iterator[RunProgress]:
    """Yield the newest runs' progress, except runs that were just deleted."""
    for run_id in ledger.run_ids()[:limit]:
        try:
            yield ledger.progress(run_id)
        except UnknownName:
            continue


def _log_alert(alert: Alert) -> None:
    log.warning("alert %s %s: %s", alert["name"], alert["state"], alert["message"])
