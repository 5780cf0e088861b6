"""Report to the ledger that this worker is alive, its queues, and its clock."""

from __future__ import annotations

import logging
import time
from typing import Any

from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.worker_registry import LivingWorker
from dataworks_tasks.version import __version__
from dataworks_tasks.worker.identity import worker_id

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
PRESENCE_SECONDS = 5.0
_OUTAGE_SECONDS = 2.0
_CLOCK_SECONDS = 20.0


class Presence:
    """Called every second on the event loop of the worker, and reports every five seconds.

    It repeats a failed report sooner, so that nobody takes the worker for ended for long when Redis
    answers again.
    """

    def __init__(self, consumer: Any, ledger: Ledger) -> None:
        self._consumer = consumer
        self._ledger = ledger
        self._warned = False
        self._next_report = float("-inf")
        self.workers = 1
        """How many workers there were at the last report."""

    def __call__(self) -> None:
        """Report if it is time. If Redis does not answer, a later call tries again."""
        now = time.monotonic()
        if now < self._next_report:
            return
        try:
            clock = self._ledger.workers.clock_seconds()
            self.workers = self._ledger.workers.enter(self._worker(clock))
        except DataWorksError as error:
            self._next_report = now + _OUTAGE_SECONDS - LOOK_SECONDS / 2
            log.debug("this worker could not report that it is alive: %s", error)
            return
        self._next_report = now + PRESENCE_SECONDS - LOOK_SECONDS / 2
        if abs(clock) > _CLOCK_SECONDS and not self._warned:
            self._warned = True
            log.warning(
                "the clock of this machine is %.0f s %s that of Redis, so the times that this "
                "worker reports are wrong; synchronize it with NTP",
                abs(clock),
                "ahead of" if clock > 0 else "behind",
            )

    def leave(self) -> None:
        """Deregister this worker, which ends or is reconnecting to its broker."""
        try:
            self._ledger.workers.leave(worker_id())
        except DataWorksError as error:
            log.debug("this worker could not report that it ends: %s", error)

    def _worker(self, clock: float) -> LivingWorker:
        pool = self._consumer.pool
        return LivingWorker(
            id=worker_id(),
            name=str(self._consumer.hostname),
            queues=tuple(sorted(self._consumer.app.amqp.queues.consume_from)),
            pool=type(pool).__module__.rpartition(".")[2],
            processes=int(getattr(pool, "num_processes", 0) or pool.limit or 1),
            clock_seconds=round(clock, 3),
            version=__version__,
        )
