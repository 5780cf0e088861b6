"""The supervisor's children: started, reaped and stopped here and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from signal import SIGKILL, Signals

from producer.local.child_command import ChildCommand
from producer.local.process_control import (
    children_of,
    die_with_parent,
    group_is_empty,
    signal_group,
)

POLL_SECONDS = 0.01
KILL_LIMIT_SECONDS = 5.0
"""How long a killed process may take to go; only one stuck in the kernel takes longer."""


@dataclass(slots=True)
class Child:
    """A process that was started, and how it ended if it did."""

    command: ChildCommand
    process: subprocess.Popen[bytes]
    returncode: int | None = None

    @property
    def pid(self) -> int:
        """The process id, which is its session's and its group's too."""
        return self.process.pid


class Children:
    """All children by name.

    ``on_exit`` is called for each one that ends unasked. Each child also holds the folder's lock:
    one that outlives a killed supervisor still keeps the next supervisor from its data.
    """

    def __init__(self, on_exit: Callable[[Child], None], folder_lock: int) -> None:
        self._children: dict[str, Child] = {}
        self._on_exit = on_exit
        self._folder_lock = folder_lock
        self._stopping: set[int] = set()

    def start(self, command: ChildCommand) -> Child:
        """Start ``command``. Raises OSError if that fails, ValueError if its name is taken."""
        known = self._children.get(command.name)
        if known is not None and known.returncode is None:
            raise ValueError(f"{command.name} is already running")
        process = self._launch(command)
        child = Child(command, process)
        self._children[command.name] = child
        return child

    def get(self, name: str) -> Child:
        """Return the child called ``name``. Raises KeyError if there never was one."""
        return self._children[name]

    def all(self) -> list[Child]:
        """Return every child, ended or not."""
        return list(self._children.values())

    def reap(self) -> None:
        """Collect every process that ended, adopted orphans included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended(pid, os.waitstatus_to_exitcode(status))

    def stop(self, children: Iterable[Child], signal: Signals | None = None) -> None:
        """Stop these together: their signal (or ``signal``), their grace, SIGKILL of the groups."""
        running = [child for child in children if child.returncode is None]
        self._stopping.update(child.pid for child in running)
        for child in running:
            os.kill(child.pid, signal or child.command.stop.signal)
        grace = max((child.command.stop.grace_seconds for child in running), default=0.0)
        self._wait(lambda: all(child.returncode is not None for child in running), grace)
        for child in running:
            signal_group(child.pid, SIGKILL)
        self._wait(lambda: all(group_is_empty(child.pid) for child in running), KILL_LIMIT_SECONDS)

    def stop_all(self) -> None:
        """Stop every child, stage by stage, and then kill whatever they left behind."""
        stages = sorted({child.command.stop.stage for child in self.all()})
        for stage in stages:
            self.stop(child for child in self.all() if child.command.stop.stage == stage)

    def sweep(self, spared: int | None) -> None:
        """Kill every process that was adopted, until none is left but ``spared``."""
        if sys.platform != "linux":
            return
        deadline = time.monotonic() + KILL_LIMIT_SECONDS
        while time.monotonic() < deadline:
            self.reap()
            left = [pid for pid in children_of(os.getpid()) if pid != spared]
            if not left:
                return
            for pid in left:
                os.kill(pid, SIGKILL)
            time.sleep(POLL_SECONDS)

    def _launch(self, command: ChildCommand) -> subprocess.Popen[bytes]:
        with open(command.log, "ab") as log:
            return subprocess.Popen(
                command.arguments,
                cwd=command.folder,
                env=command.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(self._folder_lock,),
                # Safe: the supervisor has one thread.
                preexec_fn=die_with_parent(command.stop.orphan_signal),  # noqa: PLW1509
            )

    def _wait(self, condition: Callable[[], bool], limit_seconds: float) -> None:
        deadline = time.monotonic() + limit_seconds
        self.reap()
        while not condition() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            self.reap()

    def _ended(self, pid: int, returncode: int) -> None:
        for child in self._children.values():
            if child.pid == pid and child.returncode is None:
                child.returncode = child.process.returncode = returncode
                # Its own children must not outlive it, such as a Celery worker's pool.
                signal_group(pid, SIGKILL)
                if pid in self._stopping:
                    self._stopping.remove(pid)
                else:
                    self._on_exit(child)
