"""What commands that try random schedules of faults share: a line a seed, and undoing."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from pymongo.errors import PyMongoError
from redis import RedisError

from dataworks_tasks.errors import DataWorksError


class Undone:
    """What is taken back some seconds after it was done."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, undo: Callable[[], None]) -> None:
        """Take something back when it has lasted for so long."""
        self._waiting.append((time.monotonic() + seconds, undo))

    def due(self) -> None:
        """Take back what has lasted for long enough."""
        now = time.monotonic()
        due = [undo for until, undo in self._waiting if until <= now]
        self._waiting = [entry for entry in self._waiting if entry[0] > now]
        for undo in due:
            undo()

    def everything(self) -> None:
        """Wait until all of it has lasted for long enough, and take it back."""
        while self._waiting:
            time.sleep(max(0.0, min(until for until, _ in self._waiting) - time.monotonic()))
            self.due()


class Schedules(Protocol):
    """Servers and workers on which any number of schedules are tried."""

    @property
    def logs(self) -> Path:
        """The folder of their logs."""

    def schedule(self, seed: int) -> str:
        """Try one; what was done. Raises AssertionError when what it left is not exact."""


def say(seed: int, text: str) -> None:
    """Print a line of what happened, seen at once."""
    sys.stdout.write(f"seed {seed}: {text}\n")
    sys.stdout.flush()


def try_seeds(
    description: str | None, seeds: str, servers: Callable[[], AbstractContextManager[Schedules]]
) -> None:
    """Read the command line, try a schedule for each seed, and exit with 1 if one failed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", default=seeds, help="FIRST-LAST")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no schedule after that")
    parser.add_argument("--keep", type=Path, help="copy logs of a failed schedule here")
    chosen = parser.parse_args()
    first, _, last = chosen.seeds.partition("-")
    until = time.monotonic() + chosen.minutes * 60
    passed, failed = 0, []
    with servers() as tried:
        for seed in range(int(first), int(last or first) + 1):
            if time.monotonic() > until:
                break
            try:
                said = tried.schedule(seed)
                passed += 1
            except (
                AssertionError,
                DataWorksError,
                PyMongoError,
                RedisError,
                TimeoutError,
            ) as error:
                said = f"FAILED {error} {getattr(error, '__notes__', '')}"
                failed.append(seed)
                if chosen.keep:
                    shutil.copytree(tried.logs, chosen.keep / str(seed), dirs_exist_ok=True)
            say(seed, said)
    sys.stdout.write(f"{passed} schedules ended equal, {len(failed)} did not: {failed}\n")
    sys.exit(1 if failed else 0)
