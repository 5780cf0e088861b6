"""The name of a worker process, unique where host names and process ids repeat (containers)."""

from __future__ import annotations

import os
import secrets
import socket

_WORKER = f"{socket.gethostname()}-{secrets.token_hex(3)}"
"""Drawn before the fork: the processes of one worker share it."""


def worker_id() -> str:
    """Return the id of the worker that this process belongs to, or is."""
    return _WORKER


def process_name() -> str:
    """Return this process' name."""
    return f"{_WORKER}:{os.getpid()}"


def process_is_gone(name: str) -> bool:
    """Return whether ``name`` is a process of this worker that has ended."""
    worker, _, pid = name.rpartition(":")
    if worker != _WORKER or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
