"""A child command: everything that the supervisor needs to start, stop and restart a process.

The supervisor's modules import nothing but the standard library, so that it starts quickly and
stays small.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any


@dataclass(frozen=True, slots=True)
class StopPolicy:
    """How a child is stopped."""

    stage: int
    """Stages stop one after the other, lowest first: users of a server before the server."""
    signal: Signals = SIGTERM
    grace_seconds: float = 10.0
    """From the signal to SIGKILL of its whole process group."""
    orphan_signal: Signals = SIGKILL
    """What the kernel sends it when the supervisor itself is killed (Linux only)."""


@dataclass(frozen=True, slots=True)
class ChildCommand:
    """One process to run in a session of its own, its output appended to a log."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    """The complete environment of the process; it may hold secrets."""
    folder: Path
    log: Path
    stop: StopPolicy

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that ``from_json`` reads."""
        return {
            "name": self.name,
            "arguments": list(self.arguments),
            "environment": self.environment,
            "folder": str(self.folder),
            "log": str(self.log),
            "stage": self.stop.stage,
            "signal": int(self.stop.signal),
            "grace_seconds": self.stop.grace_seconds,
            "orphan_signal": int(self.stop.orphan_signal),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ChildCommand:
        """Read what ``to_json`` returned."""
        stop = StopPolicy(
            stage=value["stage"],
            signal=Signals(value["signal"]),
            grace_seconds=value["grace_seconds"],
            orphan_signal=Signals(value["orphan_signal"]),
        )
        return cls(
            name=value["name"],
            arguments=tuple(value["arguments"]),
            environment=value["environment"],
            folder=Path(value["folder"]),
            log=Path(value["log"]),
            stop=stop,
        )
