"""How long a run still takes, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

from producer.view.durations import shown_duration

_SURE = 0.25
_FEW_SECONDS = 3.0
"""One figure is said that may be off by such a share of it, or by so little."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """Estimated seconds until a run is complete.

    ``least`` and ``most`` differ where most of it depends on a speed that nobody has seen yet.
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
        """Whether one figure says it."""
        off = max(self.most - self.seconds, self.seconds - self.least)
        return off <= max(_SURE * self.seconds, _FEW_SECONDS)

    @property
    def between(self) -> tuple[float, float] | None:
        """The bounds, for machines; None where one figure says it."""
        return None if self.is_known else (round(self.least, 1), round(self.most, 1))
