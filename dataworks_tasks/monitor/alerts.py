"""Alerts: which limits a run exceeds, and when that began and ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypedDict

from dataworks_tasks.ledger.contract import WORKING
from dataworks_tasks.monitor.alert_rules import AlertRule
from dataworks_tasks.monitor.operation import OperationMetrics


class Alert(TypedDict):
    """What a callback or a webhook receives. An alert is raised once, and ends once."""

    name: str
    state: Literal["raised", "ended"]
    run: str
    message: str
    value: float
    limit: float
    at: str


class AlertBoard:
    """Remembers which thresholds are exceeded: an alert fires when raised and when cleared."""

    def __init__(self, rules: tuple[AlertRule, ...]) -> None:
        self._rules = rules
        self._raised: dict[tuple[str, str], Alert] = {}

    @property
    def raised(self) -> tuple[Alert, ...]:
        """The alerts whose limits are exceeded now."""
        return tuple(self._raised.values())

    def check(self, run: OperationMetrics) -> list[Alert]:
        """Return the alerts that these metrics raise or clear; an idle run has none."""
        transitions = []
        for rule in self._rules:
            key = (run.run_id, rule.name)
            is_passed = run.state in WORKING and rule.is_passed(run)
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
    text = rule.text(value) if state == "raised" else f"the {rule.name} alert has ended"
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
