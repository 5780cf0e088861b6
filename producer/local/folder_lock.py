"""The lock of a services folder: its supervisor and services hold it while any of them lives."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

LOCK_FILE = "lock"
POLL_SECONDS = 0.02


def lock_folder(folder: Path, limit_seconds: float) -> int | None:
    """Return a file descriptor that holds the lock; None if another process has it.

    The lock lasts until every copy of the descriptor is closed. It is a kernel lock and not a file
    with a process id, so it goes with the processes, however they end.
    """
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + limit_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(POLL_SECONDS)
        else:
            return descriptor


def folder_is_locked(folder: Path) -> bool:
    """Return whether a supervisor or a service runs in ``folder``."""
    if not (folder / LOCK_FILE).exists():
        return False
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
