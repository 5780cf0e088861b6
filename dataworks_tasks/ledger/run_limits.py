"""The limits of a run, which may change while it runs; the spec has those that it started with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

from dataworks_tasks.errors import TransientError
from dataworks_tasks.numerals import plain
from dataworks_tasks.runs.spec import RunSpec

_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What the entire fleet may spend on a run each second. None: unlimited.

    ``max_rate``: documents. ``max_ru``, ``source_max_ru``: request units at the target and at the
    source.
    """

    max_rate: float | None = None
    max_ru: float | None = None
    source_max_ru: float | None = None

    @classmethod
    def of_spec(cls, spec: RunSpec) -> RunLimits:
        """Return the limits that the run started with."""
        return cls(spec.max_rate, spec.max_ru, spec.source_max_ru)

    @classmethod
    def from_json(cls, text: str) -> RunLimits:
        """Read limits as the ledger keeps them."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Encode the limits as the ledger keeps them."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        parts = (
            (self.max_rate, "documents/s"),
            (self.max_ru, "RU/s at the target"),
            (self.source_max_ru, "RU/s at the source"),
        )
        return ", ".join(f"{plain(value)} {unit}" for value, unit in parts if value is not None)


class KeepsLimits(Protocol):
    """The part of the ledger that keeps the limits of runs."""

    def limits(self, run_id: str) -> RunLimits | None:
        """Return the limits that were set while the run ran."""


def limits_of(ledger: KeepsLimits, spec: RunSpec) -> RunLimits:
    """Return the run's limits as they are now."""
    return ledger.limits(spec.run_id) or RunLimits.of_spec(spec)


def with_limits(ledger: KeepsLimits, spec: RunSpec) -> RunSpec:
    """Return the spec with the run's limits as they are now."""
    return spec.model_copy(update=asdict(limits_of(ledger, spec)))


class LiveLimits:
    """The limits of a run, read again after a second; during an outage they stay."""

    def __init__(
        self, ledger: KeepsLimits, spec: RunSpec, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger, self._spec, self._clock = ledger, spec, clock
        self._limits = RunLimits.of_spec(spec)
        self._looked_at: float | None = None

    def now(self) -> RunLimits:
        """Return the current limits."""
        now = self._clock()
        if self._looked_at is None or now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            try:
                self._limits = limits_of(self._ledger, self._spec)
            except TransientError:
                return self._limits
        return self._limits
