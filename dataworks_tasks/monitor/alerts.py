"""Alert thresholds, and which of them a run exceeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypedDict

from dataworks_tasks.ledger.contract import WORKING
from dataworks_tasks.monitor.operation import OperationMetrics
from dataworks_tasks.settings import FrameworkConfig

_WARM_UP_SECONDS = 30.0
"""A rate means nothing before: workers start and open their connections first."""

_WARM_UP_DOCUMENTS = 100
"""A share of failures means nothing before that many documents."""

_TOLD_LONG_ENOUGH_SECONDS = 24 * 3600.0
"""A run that nobody wants to work on does not alert for ever."""

_MEGABYTE = 1_000_000


class Alert(TypedDict):
    """What a callback or a webhook is given. It is raised once, and ended once."""

    name: str
    state: Literal["raised", "ended"]
    run: str
    message: str
    value: float
    limit: float
    at: str


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One limit: which value is compared with it, and how a person says that it was passed."""

    name: str
    limit: float
    value: Callable[[OperationMetrics], float]
    is_passed: Callable[[OperationMetrics, float], bool]
    text: Callable[[float, float], str]
    shows_cause: bool = False
    """Whether the message ends with what holds the run up, where that is known."""


def alert_rules(config: FrameworkConfig) -> tuple[AlertRule, ...]:
    """Return the rules that the settings switch on; a limit of 0 switches a rule off."""
    rules = (*_all_rules(config), *_rules_of_following(config))
    return tuple(rule for rule in rules if rule.limit > 0)


def _all_rules(config: FrameworkConfig) -> Iterator[AlertRule]:
    yield AlertRule(
        "error-rate",
        config.alert_error_rate,
        lambda run: run.error_rate,
        lambda run, limit: (
            run.documents + run.failures >= _WARM_UP_DOCUMENTS and run.error_rate > limit
        ),
        lambda value, limit: (
            f"{value:.1%} of the documents failed or differ, more than {limit:.1%}"
        ),
    )
    yield AlertRule(
        "low-rate",
        config.alert_min_rate,
        lambda run: run.documents_per_second,
        lambda run, limit: (
            run.has_workers and run.seconds > _WARM_UP_SECONDS and run.documents_per_second < limit
        ),
        lambda value, limit: f"{value:,.0f} documents a second, fewer than {limit:,.0f}",
    )
    yield AlertRule(
        "stall",
        config.alert_stall_seconds,
        lambda run: run.seconds_since_progress,
        lambda run, limit: run.has_workers and run.seconds_since_progress > limit,
        lambda value, _limit: f"nothing has been acknowledged for {value:.0f} s",
        shows_cause=True,
    )
    yield AlertRule(
        "no-worker",
        config.alert_stall_seconds,
        lambda run: run.seconds_since_progress,
        lambda run, limit: (
            not run.has_workers and limit < run.seconds_since_progress < _TOLD_LONG_ENOUGH_SECONDS
        ),
        lambda value, _limit: f"no worker has worked on it for {value:.0f} s",
        shows_cause=True,
    )
    yield AlertRule(
        "throttling",
        config.alert_throttled_share,
        lambda run: run.throttled_share,
        lambda run, limit: run.throttled_share > limit,
        lambda value, limit: (
            f"workers wait {value:.0%} of their time for a throttled target, more than {limit:.0%}"
        ),
    )
    yield AlertRule(
        "worker-memory",
        config.alert_worker_memory_mb * _MEGABYTE,
        lambda run: run.peak_worker_bytes,
        lambda run, limit: run.peak_worker_bytes > limit,
        lambda value, limit: (
            f"a worker process took {value / _MEGABYTE:,.0f} MB, "
            f"more than {limit / _MEGABYTE:,.0f} MB"
        ),
    )
    yield AlertRule(
        "old-gap",
        config.alert_gap_seconds,
        lambda run: run.oldest_gap_seconds,
        lambda run, limit: run.has_workers and run.oldest_gap_seconds > limit,
        lambda value, _limit: f"the first range that is not acknowledged is {value:.0f} s old",
        shows_cause=True,
    )


def _rules_of_following(config: FrameworkConfig) -> Iterator[AlertRule]:
    yield AlertRule(
        "lag",
        config.alert_lag_seconds,
        lambda run: run.lag_seconds or 0.0,
        lambda run, limit: (run.lag_seconds or 0.0) > limit,
        lambda value, limit: (
            f"the target is {value:,.0f} s behind the source, more than {limit:,.0f} s"
        ),
    )
    yield AlertRule(
        "history",
        config.alert_history_seconds,
        lambda run: run.history_seconds or 0.0,
        # A history that begins with the server is short, but no reason for alarm without a lag.
        lambda run, limit: (
            run.history_seconds is not None
            and run.history_seconds < limit
            and (run.lag_seconds or 0.0) > run.history_seconds
        ),
        lambda value, _limit: (
            f"the source's history reaches back only {value:,.0f} s before the run's position: "
            "changes will be lost soon"
        ),
    )
    yield AlertRule(
        "stopped-following",
        config.alert_stall_seconds,
        lambda run: run.silent_seconds,
        lambda run, limit: run.silent_seconds > limit,
        lambda value, _limit: f"nobody has read the source's changes for {value:.0f} s",
        shows_cause=True,
    )


class AlertBoard:
    """Remembers which thresholds are exceeded: an alert fires when raised and when cleared."""

    def __init__(self, rules: tuple[AlertRule, ...]) -> None:
        self._rules = rules
        self._raised: dict[tuple[str, str], Alert] = {}

    @property
    def raised(self) -> tuple[Alert, ...]:
        """What is passed now."""
        return tuple(self._raised.values())

    def check(self, run: OperationMetrics) -> list[Alert]:
        """Return the alerts that these metrics raise or clear; an idle run has none."""
        transitions = []
        for rule in self._rules:
            key = (run.run_id, rule.name)
            is_passed = run.state in WORKING and rule.is_passed(run, rule.limit)
            if is_passed and key not in self._raised:
                self._raised[key] = _alert(rule, run, "raised")
                transitions.append(self._raised[key])
            elif not is_passed and key in self._raised:
                del self._raised[key]
                transitions.append(_alert(rule, run, "ended"))
        return transitions

    def keep_only(self, run_ids: set[str]) -> None:
        """Forget the alerts of all other runs: they are gone."""
        self._raised = {key: alert for key, alert in self._raised.items() if key[0] in run_ids}


def _alert(rule: AlertRule, run: OperationMetrics, state: Literal["raised", "ended"]) -> Alert:
    value = rule.value(run)
    text = rule.text(value, rule.limit) if state == "raised" else f"{rule.name} is over"
    if state == "raised" and rule.shows_cause and run.cause:
        text = f"{text}: {run.cause}"
    return Alert(
        name=rule.name,
        state=state,
        run=run.run_id,
        message=f"run {run.run_id}: {text}",
        value=round(value, 6),
        limit=rule.limit,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
