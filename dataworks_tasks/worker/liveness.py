"""Liveness files: a worker's main process touches one, and a probe checks its age.

That costs a probe no connection and 0.1 s of CPU; ``celery inspect ping`` costs 0.7 s and a round
trip through the broker. One file a worker, in a folder that only this user can write.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dataworks_tasks.errors import SettingsError

TOUCH_SECONDS = 10.0
"""How often a worker touches its file."""

STALE_SECONDS = 90.0
"""A worker that has not touched its file for this long hangs, or has no broker.

Above 60, so that a broker's restart (measured: 29 s without a touch) does not look like a hanging
worker.
"""


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """A worker process that exists, and how long ago it touched its file."""

    name: str
    pid: int
    age_seconds: float

    def is_healthy(self, stale_seconds: float = STALE_SECONDS) -> bool:
        """Return whether it touched its file lately."""
        return self.age_seconds <= stale_seconds


@dataclass(frozen=True, slots=True)
class LivenessFile:
    """The file of the worker called ``name`` (``celery@host``)."""

    name: str
    folder: Path

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self.folder / (re.sub(r"[^A-Za-z0-9@._-]", "_", self.name) + ".json")

    def write(self) -> None:
        """Make the file for this process, or take over that of a worker of the same name."""
        beside = self.path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps({"name": self.name, "pid": os.getpid()}))
        beside.replace(self.path)

    def touch(self) -> None:
        """Touch the file; write it again if it was removed."""
        try:
            os.utime(self.path)
        except FileNotFoundError:
            self.write()


def liveness_folder() -> Path:
    """Return this user's folder for liveness files; create it if it is missing.

    Raises SettingsError if another user owns it: its contents could not be trusted.
    """
    folder = Path(tempfile.gettempdir()) / f"dataworks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or folder.is_symlink():
        raise SettingsError(f"{folder} belongs to another user", "Remove it, or set TMPDIR")
    return folder


def living_workers(folder: Path) -> list[LocalWorker]:
    """Return the workers of this user on this machine (or container), by name.

    Removes the files of processes that have ended.
    """
    return sorted(_living(folder), key=lambda worker: worker.name)


def _living(folder: Path) -> Iterator[LocalWorker]:
    for path in folder.glob("*.json"):
        try:
            record = json.loads(path.read_text())
            name, pid = str(record["name"]), int(record["pid"])
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError):
            raise SettingsError(f"{path} is not a liveness file", f"Remove it: rm {path}") from None
        if _exists(pid):
            yield LocalWorker(name, pid, max(0.0, age))
        else:
            path.unlink(missing_ok=True)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's process has this id now.
        return False
    return True
