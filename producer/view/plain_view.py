"""The view of a run for logs, pipes and cron: plain lines.

It draws nothing, so that a command with ``--json`` does not import Rich.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from dataworks_tasks.ledger.contract import WORKING, Ledger
from dataworks_tasks.migrate.rules import RuleKind
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.spec import RunKind, RunSpec
from producer.drive.observation import Observation
from producer.view.durations import shown_duration
from producer.view.live_snapshot import NO_ALERTS, AlertWatch, LiveMeter, LiveSnapshot

_LINE_SECONDS = 5.0
_READ_SECONDS = 1.0
"""Often enough for alerts and rates; a command looks at its run more often, to see its end."""


class PlainView:
    """A line every few seconds: for logs, pipes and cron."""

    def __init__(
        self,
        spec: RunSpec,
        print_line: Callable[[str], None],
        ledger: Ledger,
        watch: AlertWatch = NO_ALERTS,
    ) -> None:
        self._print_line = print_line
        self._meter = LiveMeter(spec, ledger, watch)
        self._printed_at = self._read_at = float("-inf")
        self._notice = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: there is nothing to restore."""

    def observe(self, observation: Observation) -> None:
        """Print a line if it is time for one, or if the run ended."""
        text = notice(observation)
        if text and text != self._notice:
            self.say(text)
        self._notice = text
        now = time.monotonic()
        if not _is_over(observation) and now - self._read_at < _READ_SECONDS:
            return
        self._read_at = now
        live = self._meter.read(observation)
        for alert in live.transitions if live else ():
            self.say(f"alert {alert['name']} {alert['state']}: {alert['message']}")
        if live is None or not (live.run.is_over or now - self._printed_at >= _LINE_SECONDS):
            return
        self._printed_at = now
        self.say(plain_line(live))

    def say(self, text: str) -> None:
        """Print a line."""
        self._print_line(text)


def plain_line(live: LiveSnapshot) -> str:
    """Describe the run in one line."""
    run = live.run
    total = f"{run.documents_total:,}{'+' if live.is_planning else ''}"
    parts = [f"{run.run_id} {run.state}: {run.documents:,} of {total} documents"]
    if run.is_over:
        parts += [f"{run.rate:,.0f} docs/s", shown_duration(run.seconds)]
    else:
        parts.append(f"{live.metrics.documents_per_second:,.0f} docs/s")
        if live.time_left:
            parts.append(f"ETA {live.time_left}")
        parts.append(counted(len(live.workers), "worker"))
    if run.failures:
        compares = run.kind is RunKind.VERIFICATION
        parts.append(counted(run.failures, "difference" if compares else "failure"))
    if run.throttled_requests:
        parts.append(f"{run.throttled_requests:,} throttled")
    if masked := sum(r.outcome.changed for r in run.rules if r.rule.kind is RuleKind.MASK):
        parts.append(f"{counted(masked, 'value')} masked")
    parts += run.to_read
    if run.finishing:
        parts.append(run.finishing)
    return ", ".join(parts)


def _is_over(observation: Observation) -> bool:
    return observation.progress is not None and observation.progress.state not in WORKING


def notice(observation: Observation) -> str:
    """Return what a person should know besides the numbers; empty if nothing."""
    if observation.outage:
        return f"{observation.outage}; waiting for it"
    return observation.standstill.cause or ""
