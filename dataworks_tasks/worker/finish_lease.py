"""One process at a time finishes a run, says how far it is, and can die without harm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Self

from dataworks_tasks.errors import DataWorksError, LedgerUnavailable, TransientError
from dataworks_tasks.ledger.contract import FinishState, Ledger
from dataworks_tasks.runs.lease import StopSignal

log = logging.getLogger(__name__)

LEASE_SECONDS = 6.0
"""A lease belongs to its process for so long after it was last heard of."""
_HEARTBEAT_SECONDS = 2.0


class LeaseHeld(TransientError):
    """Another process finishes the run."""


class HeldFinishLease:
    """Implements ``FinishLease`` with the ledger; a context manager.

    A thread keeps the lease while the work waits for a server, however long. Raises LeaseHeld on
    entering when another process has it.
    """

    def __init__(self, ledger: Ledger, run_id: str, holder: str, stop: StopSignal) -> None:
        self._ledger, self._run_id, self._holder = ledger, run_id, holder
        self._stop = stop
        self._describe: Callable[[], str] | None = None
        self._shown = ""
        self._lost = False
        self._over, self._told = Event(), Event()
        self._heart = Thread(target=self._beat, name="hold-finish", daemon=True)
        self.position = ""

    def __enter__(self) -> Self:
        position = self._ledger.acquire_finish_lease(self._run_id, self._holder, LEASE_SECONDS)
        if position is None:
            raise LeaseHeld(f"another process is finishing {self._run_id}")
        self.position = position
        self._heart.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._told.set()
        self._heart.join()
        if not self._lost:
            state = FinishState(self.position, self._shown)
            self._ledger.acquire_finish_lease(self._run_id, self._holder, 0, state)

    @property
    def reached(self) -> bool:
        return self._lost or self._stop.reached

    def note(self, position: str) -> None:
        self.position = position
        self._keep()

    def show(self, describe: Callable[[], str]) -> None:
        self._describe = describe
        self._told.set()

    def _beat(self) -> None:
        while not self._over.is_set():
            self._told.wait(_HEARTBEAT_SECONDS)
            self._told.clear()
            self._shown = self._asked()
            try:
                if not self._over.is_set():
                    self._keep()
            except LedgerUnavailable:
                continue  # the lease is kept when Redis is back, or somebody else has it by then
            except DataWorksError:
                self._lost = True  # Redis has lost the run: who finishes it sees that too
                return

    def _asked(self) -> str:
        """How far the work is. A server that does not say costs a line of text, not the lease."""
        try:
            return self._describe() if self._describe is not None else ""
        except Exception as error:  # noqa: BLE001 - without this thread the lease is lost
            log.debug("the progress of finishing is not known: %s", error)
            return self._shown

    def _keep(self) -> None:
        state = FinishState(self.position, self._shown)
        held = self._ledger.acquire_finish_lease(self._run_id, self._holder, LEASE_SECONDS, state)
        self._lost = held is None
