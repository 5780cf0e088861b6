"""A run's rate over time as a picture, drawn as SVG without a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from dataworks_tasks.ledger.contract import RunProgress
from dataworks_tasks.ledger.history import HistorySample

_WIDTH, _HEIGHT = 720, 200
_LEFT, _BOTTOM, _TOP = 64, 24, 10
_MOST_POINTS = 120
"""More than one point in six pixels is noise: neighbors are averaged."""


@dataclass(frozen=True, slots=True)
class RatePoint:
    """The documents per second between two moments, both in seconds since 1970."""

    since: float
    at: float
    rate: float


def rate_points(samples: Sequence[HistorySample], progress: RunProgress) -> tuple[RatePoint, ...]:
    """Return the rate between samples, from the run's creation until now or its end."""
    created = progress.created_at.timestamp()
    until = progress.finished_at or datetime.now(UTC)
    documents = progress.counters.get("documents", 0)
    moments = [(created, 0), *((one.at, one.documents) for one in samples)]
    if until.timestamp() > moments[-1][0]:
        moments.append((until.timestamp(), documents))
    thinned = moments[:: max(1, len(moments) // _MOST_POINTS)]
    if thinned[-1] != moments[-1]:
        thinned.append(moments[-1])
    return tuple(
        RatePoint(then, at, max(0, count - before) / (at - then))
        for (then, before), (at, count) in pairwise(thinned)
        if at > then
    )


def lag_points(samples: Sequence[HistorySample]) -> tuple[RatePoint, ...]:
    """Return how far the run lagged behind its source between samples; empty if it follows nothing.

    ``rate`` is the lag in seconds.
    """
    known = [(one.at, one.lag_seconds) for one in samples if one.lag_seconds is not None]
    thinned = known[:: max(1, len(known) // _MOST_POINTS)]
    return tuple(
        RatePoint(then, at, lag) for (then, _), (at, lag) in pairwise(thinned) if at > then
    )


def lag_chart(points: Sequence[RatePoint]) -> str:
    """Draw the curve of the lag; empty without points."""
    if not points:
        return ""
    highest = max(point.rate for point in points)
    title = f"Seconds behind the source: {points[-1].rate:,.0f} now, {highest:,.0f} at most"
    return _chart(points, title)


def rate_chart(points: Sequence[RatePoint]) -> str:
    """Draw the curve with its axes; its title describes it in words. Empty without points."""
    if not points:
        return ""
    highest = max(point.rate for point in points) or 1.0
    return _chart(
        points,
        f"Documents per second: {_mean(points):,.0f} on average, {highest:,.0f} at most",
    )


def _chart(points: Sequence[RatePoint], title: str) -> str:
    highest = max(point.rate for point in points) or 1.0
    first, last = points[0].since, points[-1].at
    span = max(last - first, 1e-9)

    def x(at: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 8) * (at - first) / span

    def y(rate: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * rate / highest

    line = " ".join(
        f"{x(moment):.1f},{y(point.rate):.1f}"
        for point in points
        for moment in (point.since, point.at)
    )
    floor = y(0)
    area = f"{x(first):.1f},{floor:.1f} {line} {x(last):.1f},{floor:.1f}"
    grid = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - 8}" y1="{y(level):.1f}" '
        f'y2="{y(level):.1f}"/><text x="{_LEFT - 6}" y="{y(level) + 4:.1f}" '
        f'text-anchor="end">{_short(level)}</text>'
        for level in (0.0, highest / 2, highest)
    )
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{title}"><title>{title}</title>{grid}'
        f'<polygon class="area" points="{area}"/><polyline class="line" points="{line}"/>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}">{_clock(first)}</text>'
        f'<text x="{_WIDTH - 8}" y="{_HEIGHT - 6}" text-anchor="end">{_clock(last)}</text></svg>'
    )


def _mean(points: Sequence[RatePoint]) -> float:
    documents = sum(point.rate * (point.at - point.since) for point in points)
    return documents / (points[-1].at - points[0].since)


def _short(number: float) -> str:
    for limit, factor, unit in ((1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if number >= limit:
            return f"{number / factor:.3g}{unit}"
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %H:%M:%S UTC")
