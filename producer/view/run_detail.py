"""Everything that a page or a report shows of one run, read at one moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

from dataworks_tasks.ledger.contract import DocumentFailure, Ledger
from dataworks_tasks.ledger.history import RunEvent
from dataworks_tasks.monitor.standstill import standstill
from dataworks_tasks.runs.spec import RunSpec
from producer.drive.observation import Observation
from producer.view.hidden_keys import (
    failure_json,
    hidden_reason,
    hide_keys_of_run,
    hide_keys_of_spec,
)
from producer.view.live_snapshot import LiveMeter, LiveSnapshot
from producer.view.next_step import next_steps
from producer.view.range_map import Strip, read_strips
from producer.view.rate_chart import RatePoint, lag_points, rate_points
from producer.view.schema_version import SCHEMA_VERSION

_FIRST_DOCUMENTS = 3


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures that have a reason in common, with the first few documents."""

    reason: str
    count: int
    first: tuple[DocumentFailure, ...]


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run at one moment. ``failures_read``: how many failures the groups were made from."""

    spec: RunSpec
    live: LiveSnapshot
    strips: tuple[Strip, ...]
    rate: tuple[RatePoint, ...]
    lag: tuple[RatePoint, ...]
    failures: tuple[FailureGroup, ...]
    failures_read: int
    events: tuple[RunEvent, ...]
    next_steps: tuple[str, ...]

    def as_json(self, *, hide_keys: bool = False) -> dict[str, Any]:
        """Return what ``status --json`` prints, and everything else that the run's page shows."""
        return {
            "version": SCHEMA_VERSION,
            **self.live.as_json(),
            "collections": [one.as_json() for one in self.live.collections],
            "map": [strip.as_json() for strip in self.strips],
            "rate": [asdict(point) for point in self.rate],
            "lag": [{"at": point.at, "seconds": point.rate} for point in self.lag],
            "failure_groups": [_group(group, hide_keys) for group in self.failures],
            "events": [asdict(event) for event in self.events],
            "next_steps": list(self.next_steps),
        }


def hide_keys_of_detail(detail: RunDetail) -> RunDetail:
    """Remove keys and values from errors and filters; see ``as_json`` for failures."""
    live = replace(detail.live, run=hide_keys_of_run(detail.live.run))
    return replace(detail, live=live, spec=hide_keys_of_spec(detail.spec))


def read_detail(ledger: Ledger, spec: RunSpec, meter: LiveMeter) -> RunDetail:
    """Return the run as of now.

    ``meter`` remembers earlier calls, for the rates of the last seconds. Raises LedgerUnavailable
    and UnknownName.
    """
    run_id = spec.run_id
    progress = ledger.progress(run_id)
    live = meter.read(Observation(progress, None, standstill=standstill(ledger, progress)))
    assert live is not None, "an observation with progress has figures"
    page = ledger.failure_page(run_id) if progress.failures else None
    failures = page.failures if page else ()
    samples = ledger.history.read(run_id)
    return RunDetail(
        spec=spec,
        live=live,
        strips=read_strips(ledger, spec, progress),
        rate=rate_points(samples, progress),
        lag=lag_points(samples),
        failures=_groups(failures),
        failures_read=len(failures),
        events=ledger.history.events(run_id),
        next_steps=next_steps(live.run),
    )


def _groups(failures: tuple[DocumentFailure, ...]) -> tuple[FailureGroup, ...]:
    counts = Counter(failure.reason for failure in failures)
    return tuple(
        FailureGroup(
            reason,
            count,
            tuple(one for one in failures if one.reason == reason)[:_FIRST_DOCUMENTS],
        )
        for reason, count in counts.most_common()
    )


def _group(group: FailureGroup, hide_keys: bool) -> dict[str, Any]:
    return {
        "reason": hidden_reason(group.reason) if hide_keys else group.reason,
        "count": group.count,
        "first": [failure_json(failure, hide_keys) for failure in group.first],
    }
