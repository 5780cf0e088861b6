"""How long a run still takes, and how certain that is."""

from __future__ import annotations

from dataclasses import dataclass

from producer.view.durations import shown_duration

_SURE = 0.25
_FEW_SECONDS = 3.0
"""A single figure is shown if it can only be off by this share, or by these few seconds."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """Estimated seconds until a run is complete.

    ``least`` and ``most`` differ if most of the time depends on a speed that is still unknown.
    """

    seconds: float
    least: float
    most: float

    def __str__(self) -> str:
        if self.is_known:
            return shown_duration(self.seconds)
        return f"{shown_duration(self.least)} to {shown_duration(self.most)}"

    @property
    def is_known(self) -> bool:
        """Whether a single figure is certain enough."""
        off = max(self.most - self.seconds, self.seconds - self.least)
        return off <= max(_SURE * self.seconds, _FEW_SECONDS)

    @property
    def between(self) -> tuple[float, float] | None:
        """The bounds, for machines; None if a single figure is certain enough."""
        return None if self.is_known else (round(self.least, 1), round(self.most, 1))
