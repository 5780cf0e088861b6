"""Alert rules: which figure of a run is compared with which limit, and the text of the alert."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from dataworks_tasks.monitor.operation import OperationMetrics
from dataworks_tasks.settings import FrameworkConfig

_WARM_UP_SECONDS = 30.0
"""A rate means nothing earlier: workers start and open their connections first."""

_WARM_UP_DOCUMENTS = 100
"""A share of failures means nothing before that many documents."""

_LONGEST_STANDSTILL_SECONDS = 24 * 3600.0
"""A run without workers does not alert for ever."""

_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class AlertRule(ABC):
    """A limit of one figure of a run."""

    limit: float
    name: ClassVar[str]
    shows_cause: ClassVar[bool] = False
    """Whether the message ends with the cause of the standstill, if known."""

    @abstractmethod
    def value(self, run: OperationMetrics) -> float:
        """Return the figure that is compared."""

    def is_passed(self, run: OperationMetrics) -> bool:
        """Return whether the figure is beyond the limit; most limits are upper ones."""
        return self.value(run) > self.limit

    @abstractmethod
    def text(self, value: float) -> str:
        """Say that ``value`` is beyond the limit."""


class ErrorRate(AlertRule):
    """Too many documents failed or differ."""

    name = "error-rate"

    def value(self, run: OperationMetrics) -> float:
        return run.error_rate

    def is_passed(self, run: OperationMetrics) -> bool:
        return run.documents + run.failures >= _WARM_UP_DOCUMENTS and run.error_rate > self.limit

    def text(self, value: float) -> str:
        return f"{value:.1%} of the documents failed or differ, more than {self.limit:.1%}"


class LowRate(AlertRule):
    """The run is slower than it should be."""

    name = "low-rate"

    def value(self, run: OperationMetrics) -> float:
        return run.documents_per_second

    def is_passed(self, run: OperationMetrics) -> bool:
        is_warm = run.has_workers and run.seconds > _WARM_UP_SECONDS
        return is_warm and run.documents_per_second < self.limit

    def text(self, value: float) -> str:
        return f"{value:,.0f} documents a second, fewer than {self.limit:,.0f}"


class Stall(AlertRule):
    """Workers acknowledge nothing."""

    name = "stall"
    shows_cause = True

    def value(self, run: OperationMetrics) -> float:
        return run.seconds_since_progress

    def is_passed(self, run: OperationMetrics) -> bool:
        return run.has_workers and run.seconds_since_progress > self.limit

    def text(self, value: float) -> str:
        return f"nothing has been acknowledged for {value:.0f} s"


class NoWorker(AlertRule):
    """No worker takes the run's messages."""

    name = "no-worker"
    shows_cause = True

    def value(self, run: OperationMetrics) -> float:
        return run.seconds_since_progress

    def is_passed(self, run: OperationMetrics) -> bool:
        seconds = run.seconds_since_progress
        return not run.has_workers and self.limit < seconds < _LONGEST_STANDSTILL_SECONDS

    def text(self, value: float) -> str:
        return f"no worker has worked on it for {value:.0f} s"


class Throttling(AlertRule):
    """Workers wait for a target that throttles them."""

    name = "throttling"

    def value(self, run: OperationMetrics) -> float:
        return run.throttled_share

    def text(self, value: float) -> str:
        return (
            f"workers wait {value:.0%} of their time for a throttled target, "
            f"more than {self.limit:.0%}"
        )


class WorkerMemory(AlertRule):
    """A worker process takes too much memory."""

    name = "worker-memory"

    def value(self, run: OperationMetrics) -> float:
        return run.peak_worker_bytes

    def text(self, value: float) -> str:
        return (
            f"a worker process took {value / _MEGABYTE:,.0f} MB, "
            f"more than {self.limit / _MEGABYTE:,.0f} MB"
        )


class OldGap(AlertRule):
    """One range stays open while others are acknowledged."""

    name = "old-gap"
    shows_cause = True

    def value(self, run: OperationMetrics) -> float:
        return run.oldest_gap_seconds

    def is_passed(self, run: OperationMetrics) -> bool:
        return run.has_workers and run.oldest_gap_seconds > self.limit

    def text(self, value: float) -> str:
        return f"the first range that is not acknowledged is {value:.0f} s old"


class Lag(AlertRule):
    """The target of a run that follows lags too far behind its source."""

    name = "lag"

    def value(self, run: OperationMetrics) -> float:
        return run.lag_seconds or 0.0

    def text(self, value: float) -> str:
        return f"the target is {value:,.0f} s behind the source, more than {self.limit:,.0f} s"


class History(AlertRule):
    """The source will soon drop changes that were not read."""

    name = "history"

    def value(self, run: OperationMetrics) -> float:
        return run.history_seconds or 0.0

    def is_passed(self, run: OperationMetrics) -> bool:
        # A history that begins with the server is short, but no reason for alarm without a lag.
        return (
            run.history_seconds is not None
            and run.history_seconds < self.limit
            and (run.lag_seconds or 0.0) > run.history_seconds
        )

    def text(self, value: float) -> str:
        return (
            f"the source's history reaches back only {value:,.0f} s before the run's position: "
            "changes will be lost soon"
        )


class StoppedFollowing(AlertRule):
    """Nobody reads the source's changes."""

    name = "stopped-following"
    shows_cause = True

    def value(self, run: OperationMetrics) -> float:
        return run.silent_seconds

    def text(self, value: float) -> str:
        return f"nobody has read the source's changes for {value:.0f} s"


def alert_rules(config: FrameworkConfig) -> tuple[AlertRule, ...]:
    """Return the rules that the settings switch on; a limit of 0 switches a rule off."""
    rules: tuple[AlertRule, ...] = (
        ErrorRate(config.alert_error_rate),
        LowRate(config.alert_min_rate),
        Stall(config.alert_stall_seconds),
        NoWorker(config.alert_stall_seconds),
        Throttling(config.alert_throttled_share),
        WorkerMemory(config.alert_worker_memory_mb * _MEGABYTE),
        OldGap(config.alert_gap_seconds),
        Lag(config.alert_lag_seconds),
        History(config.alert_history_seconds),
        StoppedFollowing(config.alert_stall_seconds),
    )
    return tuple(rule for rule in rules if rule.limit > 0)
