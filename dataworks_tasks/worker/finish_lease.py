"""The lease on finishing a run: one process at a time, which may die without harm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Self

from dataworks_tasks.errors import TransientError
from dataworks_tasks.ledger.contract import FinishState, Ledger
from dataworks_tasks.ledger.heartbeat import LEASE_SECONDS, Heartbeat
from dataworks_tasks.runs.lease import StopSignal

log = logging.getLogger(__name__)


class LeaseHeld(TransientError):
    """Another process is finishing the run."""


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
        self._heartbeat = Heartbeat("hold-finish", self._describe_and_keep)
        self.position = ""

    def __enter__(self) -> Self:
        position = self._ledger.acquire_finish_lease(self._run_id, self._holder, LEASE_SECONDS)
        if position is None:
            raise LeaseHeld(f"another process is finishing {self._run_id}")
        self.position = position
        self._heartbeat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._heartbeat.stop()
        if not self._heartbeat.lost:
            state = FinishState(self.position, self._described())
            self._ledger.acquire_finish_lease(self._run_id, self._holder, 0, state)

    @property
    def reached(self) -> bool:
        """Whether to stop and return: the time is up, or the lease is lost."""
        return self._heartbeat.lost or self._stop.reached

    def note(self, position: str) -> None:
        """Record that everything up to ``position`` is done, and extend the lease."""
        self.position = position
        self._heartbeat.lost = not self._keep()

    def show(self, describe: Callable[[], str]) -> None:
        """Record the line that ``describe`` returns, now and at every heartbeat."""
        self._describe = describe
        self._heartbeat.beat_soon()

    def _describe_and_keep(self) -> bool:
        self._shown = self._described()
        return self._keep()

    def _described(self) -> str:
        """Return the progress. A server that does not answer costs a line, not the lease."""
        try:
            return self._describe() if self._describe is not None else ""
        except Exception as error:  # noqa: BLE001 - without this thread the lease is lost
            log.debug("the progress of finishing is not known: %s", error)
            return self._shown

    def _keep(self) -> bool:
        state = FinishState(self.position, self._shown)
        holder = self._holder
        return (
            self._ledger.acquire_finish_lease(self._run_id, holder, LEASE_SECONDS, state)
            is not None
        )
