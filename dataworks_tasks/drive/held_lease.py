"""The lease on one step of a run's driver."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from dataworks_tasks.errors import TransientError
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.heartbeat import LEASE_SECONDS, Heartbeat
from dataworks_tasks.ledger.windows import DueStep


class StepHeld(TransientError):
    """Another process is doing this step."""


class HeldLease:
    """Implements ``driver_step.StepLease`` with the ledger; a context manager.

    A thread keeps the lease while the step waits for a server. Raises StepHeld on entering when
    another process has it. ``again``: when the step is due next; set it before leaving.
    """

    def __init__(
        self,
        ledger: Ledger,
        due: DueStep,
        queue: str,
        holder: str,
        is_over: Callable[[float], bool],
    ) -> None:
        """``is_over``: whether a turn that has lasted so many seconds should end."""
        self._ledger, self._due, self._queue, self._holder = ledger, due, queue, holder
        self._is_over = is_over
        self._began = time.monotonic()
        self._heartbeat = Heartbeat(f"hold-{due.step}", lambda: self._keep() is not None)
        self.position = ""
        self.again: float | None = LEASE_SECONDS

    def __enter__(self) -> Self:
        position = self._keep()
        if position is None:
            raise StepHeld(f"another process is doing {self._due.step} for {self._due.run_id}")
        self.position = position
        self._heartbeat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._heartbeat.stop()
        if not self._heartbeat.lost:
            self._ledger.driver.hold(
                self._due, self._queue, self._holder, 0, self.position, self.again
            )

    @property
    def reached(self) -> bool:
        """Whether to return: the turn is over, or the lease is lost."""
        return self._heartbeat.lost or self._is_over(time.monotonic() - self._began)

    def note(self, position: str) -> None:
        """Record that everything up to ``position`` is done, and extend the lease."""
        self.position = position
        self._heartbeat.lost = self._keep(position) is None

    def _keep(self, position: str | None = None) -> str | None:
        return self._ledger.driver.hold(
            self._due, self._queue, self._holder, LEASE_SECONDS, position, LEASE_SECONDS
        )
