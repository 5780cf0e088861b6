"""How far a run lags behind its source, as last seen by the process that follows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_SEEN, _LAG, _HISTORY = "follow_seen", "follow_lag", "follow_history"


@dataclass(frozen=True, slots=True)
class FollowGauge:
    """``seen_at``: when the source was read last, in seconds since 1970 by Redis' clock.

    ``lag_seconds``: the age of the oldest change that was not at the target then.
    ``history_seconds``: how far the source's history reached back before the run's position; None
    if the source does not report it.
    """

    seen_at: float
    lag_seconds: float
    history_seconds: float | None = None

    def fields(self) -> dict[str, str]:
        """Return the fields of a run's record that keep it."""
        fields = {_SEEN: f"{self.seen_at:.3f}", _LAG: f"{self.lag_seconds:.1f}"}
        if self.history_seconds is not None:
            fields[_HISTORY] = f"{self.history_seconds:.0f}"
        return fields


def read_gauge(record: Mapping[str, str]) -> FollowGauge | None:
    """Read the gauge from a run's record; None for a run that nobody follows."""
    if _SEEN not in record:
        return None
    history = record.get(_HISTORY)
    return FollowGauge(
        float(record[_SEEN]), float(record[_LAG]), float(history) if history else None
    )
