"""A worker that halts in the middle of its work until a test lets it continue."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

from dataworks_tasks.failpoints import VARIABLE
from producer.local.services import RunningService
from tests.fleet import Fleet, pool_children, wait_until


class HaltedWork:
    """Starts a worker whose only process stops when it passes ``place`` the ``passage``-th time.

    A test that changes something in the middle of a run cannot rely on time: on a slow machine the
    run is over before the change. Slices are read one after the other.
    """

    def __init__(
        self, fleet: Fleet, place: str = "write.after", passage: int = 3, folder: Path | None = None
    ) -> None:
        self._mark = (folder or fleet.folder) / place
        stop = {VARIABLE: f"{place}=stop@{passage}:{self._mark.parent}"}
        one_slice = {"FRAMEWORK_PARALLEL_CURSORS": "1"}
        self.worker: RunningService = fleet.start_worker(1, fleet.environment | one_slice | stop)

    def wait(self) -> None:
        """Wait until the process has halted."""
        wait_until(self._mark.exists, f"the worker passes {self._mark.name}")
        wait_until(self._stopped, "the worker's process stops")

    def release(self) -> None:
        """Let the process continue; it does not stop again."""
        for process in self._stopped():
            process.send_signal(signal.SIGCONT)

    def _stopped(self) -> list[psutil.Process]:
        children = pool_children(self.worker)
        return [child for child in children if child.status() == psutil.STATUS_STOPPED]
