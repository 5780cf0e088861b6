"""The lease on one step of a run's driver."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Self

from dataworks_tasks.errors import DataWorksError, LedgerUnavailable, TransientError
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.windows import DueStep

log = logging.getLogger(__name__)

HELD_SECONDS = 6.0
"""A lease belongs to its process for so long after it was last heard of."""
_HEARTBEAT_SECONDS = 2.0


class StepHeld(TransientError):
    """Another process does this step."""


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
        self._lost = False
        self._left = Event()
        self._heart = Thread(target=self._beat, name=f"hold-{due.step}", daemon=True)
        self.position = ""
        self.again: float | None = HELD_SECONDS

    def __enter__(self) -> Self:
        position = self._keep()
        if position is None:
            raise StepHeld(f"another process is doing {self._due.step} for {self._due.run_id}")
        self.position = position
        self._heart.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self._heart.join()
        if not self._lost:
            self._ledger.driver.hold(
                self._due, self._queue, self._holder, 0, self.position, self.again
            )

    @property
    def reached(self) -> bool:
        return self._lost or self._is_over(time.monotonic() - self._began)

    def note(self, position: str) -> None:
        self.position = position
        self._lost = self._keep(position) is None

    def _beat(self) -> None:
        while not self._left.wait(_HEARTBEAT_SECONDS):
            try:
                self._lost = self._keep() is None
            except LedgerUnavailable:
                continue  # it is kept when Redis is back, or somebody else has it by then
            except DataWorksError:
                self._lost = True  # Redis has lost the run: who does the step sees that too
                return

    def _keep(self, position: str | None = None) -> str | None:
        return self._ledger.driver.hold(
            self._due, self._queue, self._holder, HELD_SECONDS, position, HELD_SECONDS
        )
