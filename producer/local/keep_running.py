"""Restart local services that end unexpectedly, and wait for room on a full disk."""

from __future__ import annotations

import time
from collections.abc import Callable

from dataworks_tasks.errors import StoreUnavailable, UsageError
from producer.local.disk_space import disk_has_room, disk_is_full
from producer.local.services import LocalServices
from producer.local.supervisor_link import ServiceExit

_SOON_SECONDS = 20.0
_MOST_SOON = 5
"""A service that has ended this often in a short time will end again."""
_DISK_SECONDS = 1.0


class Restarts:
    """Restarts services that end; ``say`` is called with a line for each.

    While the disk is full, servers refuse to store or end. Those that ended are started when there
    is room again; the others continue by themselves.
    """

    def __init__(self, services: LocalServices, say: Callable[[str], None]) -> None:
        self._services = services
        self._say = say
        self._ends: dict[str, list[float]] = {}
        self._is_full = False
        self._waiting: list[str] = []

    def wait(self) -> None:
        """Wait for a second, or for a service that ends; start what can be started.

        Raises StoreUnavailable when the supervisor ends, and for a service that keeps ending.
        """
        ended = self._services.wait(_DISK_SECONDS)
        self._look_at_disk(is_needed=ended is not None)
        if ended is not None:
            self._begin_again(ended)
        while self._waiting and not self._is_full:
            name = self._waiting.pop(0)
            if self._start(name):
                self._say(f"{name} is running again")

    def _look_at_disk(self, *, is_needed: bool) -> None:
        """``is_needed``: a service ended, so what it needs to start must be there."""
        folder = self._services.folder
        has_room = disk_has_room(folder)
        if not self._is_full and (disk_is_full(folder) or (is_needed and not has_room)):
            self._is_full = True
            self._say(
                f"The disk of {folder} is full, so nothing more is stored. Free space on it: then "
                "everything continues by itself."
            )
        elif self._is_full and has_room:
            self._is_full = False
            self._say(f"The disk of {folder} has room again.")

    def _begin_again(self, ended: ServiceExit) -> None:
        if self._is_full:
            self._say(f"{ended.name} ended with {ended.returncode}; it waits for room on the disk")
            self._waiting.append(ended.name)
            return
        now = time.monotonic()
        recent = [at for at in self._ends.get(ended.name, []) if now - at < _SOON_SECONDS]
        self._ends[ended.name] = [*recent, now]
        if len(recent) >= _MOST_SOON:
            raise StoreUnavailable(
                f"{ended.name} ended {len(recent) + 1} times within {_SOON_SECONDS:.0f} s",
                f"See {self._services.log(ended.name)}",
            )
        self._say(f"{ended.name} ended with {ended.returncode}; restarting it")
        self._start(ended.name)

    def _start(self, name: str) -> bool:
        """Start a service that ended; False if the disk filled meanwhile, so that it waits."""
        try:
            self._services.restart(name)
        except (StoreUnavailable, UsageError):
            if not self._services.is_open or disk_has_room(self._services.folder):
                raise
            self._waiting.append(name)
            self._look_at_disk(is_needed=True)
            return False
        return True
