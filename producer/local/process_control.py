"""What the kernel does for a supervisor: adopt orphans, and signal children when a parent dies.

Linux has both; elsewhere these functions do nothing, and only the supervisor's pipe ends processes.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from signal import Signals

# From linux/prctl.h.
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent dies."""
    if _libc is not None and _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def die_with_parent(signal: Signals) -> Callable[[], None]:
    """Return a ``preexec_fn``: the child gets ``signal`` when this process dies."""
    parent = os.getpid()

    def before_exec() -> None:
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, int(signal), 0, 0, 0)
        # The parent may have died before the call above.
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


def signal_group(group: int, signal: Signals) -> None:
    """Signal every process of ``group``; a group that is gone, or only zombies, is fine."""
    # macOS answers EPERM for a group that has only zombies left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal)


def group_is_empty(group: int) -> bool:
    """Return whether no process of ``group`` is left; a zombie still counts as one."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return True
    return False


def children_of(parent: int) -> list[int]:
    """Return the process ids of the children of ``parent``; empty if there is no /proc."""
    return [
        int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _parent_of(entry) == parent
    ]


def is_running(pid: int) -> bool:
    """Return whether a process with this id exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _state_of(Path("/proc") / str(pid)) != "Z"


def _parent_of(entry: Path) -> int | None:
    fields = _stat_fields(entry)
    return int(fields[1]) if fields else None


def _state_of(entry: Path) -> str | None:
    fields = _stat_fields(entry)
    return fields[0] if fields else None


def _stat_fields(entry: Path) -> list[str]:
    """Return the fields of ``/proc/PID/stat`` after the name, which may hold any character."""
    try:
        return (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
