"""Whole runs by the command line, through Celery, with warm workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from producer.local.environment import LocalAddresses

_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """A run as the ledger recorded it, and how long its command took with all of Python's start."""

    documents: int
    run_seconds: float
    command_seconds: float
    peak_worker_bytes: int
    run_id: str

    @property
    def rate(self) -> float:
        """Documents per second, from the run's creation to its completion."""
        return self.documents / self.run_seconds

    @property
    def command_rate(self) -> float:
        """Documents per second of the whole command, start-up of the program included."""
        return self.documents / self.command_seconds


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs ``dataworks`` against local services."""

    addresses: LocalAddresses
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    """More environment variables, for its workers too."""

    @property
    def environment(self) -> dict[str, str]:
        """Of commands and workers; compiled modules are kept, as on a user's machine."""
        here = {name: value for name, value in os.environ.items() if name != _NO_BYTECODE}
        return {**here, **self.addresses.environment, **self.settings}

    def run(self, *arguments: object) -> MeasuredRun:
        """Run a command that starts a run, to its end. Raises RuntimeError unless it succeeds."""
        command: Sequence[str] = (sys.executable, "-m", "producer", *map(str, arguments), "--json")
        start = time.monotonic()
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - start
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return MeasuredRun(
            documents=found["documents"],
            run_seconds=found["seconds"],
            command_seconds=seconds,
            peak_worker_bytes=found["peak_worker_bytes"],
            run_id=found["run"],
        )
