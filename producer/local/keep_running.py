"""Restart local services that end unexpectedly."""

from __future__ import annotations

import time
from collections.abc import Callable

from dataworks_tasks.errors import StoreUnavailable
from producer.local.disk_space import because_of_disk
from producer.local.services import LocalServices
from producer.local.supervisor_link import ServiceExit

_SOON_SECONDS = 20.0
_MOST_SOON = 5
"""A service that has ended this often in a short time will end again."""


class Restarts:
    """Restarts services that end; ``say`` is called with a line for each."""

    def __init__(self, services: LocalServices, say: Callable[[str], None]) -> None:
        self._services = services
        self._say = say
        self._ends: dict[str, list[float]] = {}

    def wait(self) -> None:
        """Wait for a service that ends, and start it again.

        Raises StoreUnavailable when the supervisor ends, and for a service that keeps ending.
        """
        ended = self._services.wait()
        if ended is not None:
            self._restart(ended)

    def _restart(self, ended: ServiceExit) -> None:
        now = time.monotonic()
        recent = [at for at in self._ends.get(ended.name, []) if now - at < _SOON_SECONDS]
        self._ends[ended.name] = [*recent, now]
        cause = because_of_disk(self._services.folder)
        if len(recent) >= _MOST_SOON:
            raise StoreUnavailable(
                f"{ended.name} ended {len(recent) + 1} times within {_SOON_SECONDS:.0f} s{cause}",
                f"See {self._services.log(ended.name)}",
            )
        self._say(f"{ended.name} ended with {ended.returncode}{cause}; restarting it")
        self._services.restart(ended.name)
