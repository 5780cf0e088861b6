"""The queue as one run's driver and workers use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery

from dataworks_tasks.broker.broker_errors import broker_errors
from dataworks_tasks.broker.celery_settings import FIRST, LATER
from dataworks_tasks.broker.messages import range_message, send_finish, send_step
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import RunSpec


class RunQueue:
    """Raises LedgerUnavailable when broker or ledger do not answer."""

    def __init__(
        self, app: Celery, ledger: Ledger, spec: RunSpec, name: str = "", *, retry: bool = True
    ) -> None:
        """``name``: a queue other than the run's own, such as the one that a message came from.

        ``retry``: whether to wait for a broker that does not answer.
        """
        self._app = app
        self._ledger = ledger
        self._spec = spec
        self._options: dict[str, Any] = {} if retry else {"retry": False}
        self.name = name or ledger.windows.queue(spec.run_id)

    def send(self, ranges: Sequence[BatchRange], *, first: bool = False) -> None:
        """Put a message for each range on the queue, in order; ``first``: ahead of all others."""
        if not ranges:
            return
        priority = FIRST if first else LATER
        with broker_errors(), self._app.producer_pool.acquire(block=True) as producer:
            for piece in ranges:
                failpoint("send.before")
                range_message(self._spec, piece).send(
                    self._app, self.name, priority, producer=producer, **self._options
                )
                failpoint("send.after")

    def refill(self, *, first: bool = False) -> int:
        """Send as many messages as the run's window has room for; return how many."""
        ranges = self._ledger.windows.refill(self._spec.run_id)
        self.send(ranges, first=first)
        return len(ranges)

    def send_step(self, step: str, *, first: bool = False) -> None:
        """Ask a worker to do a step of the run's driver."""
        priority = FIRST if first else LATER
        send_step(self._app, self._spec.run_id, step, self.name, priority, **self._options)

    def send_finish(self) -> None:
        """Ask a worker to finish the run."""
        send_finish(self._app, self._spec.run_id, self.name)
