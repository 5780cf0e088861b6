"""The part of a Celery worker that notices what is due: driver steps and postponed ranges."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from celery import Celery, bootsteps

from dataworks_tasks.broker.run_queue import RunQueue
from dataworks_tasks.drive.start_run import CLAIM_SECONDS, REFUSED_STEP_SECONDS
from dataworks_tasks.drive.watch_messages import WatchMessages
from dataworks_tasks.errors import DataWorksError, TransientError, UnknownName
from dataworks_tasks.ledger.connect import Patience, connect_ledger
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.windows import WAKE, DueStep
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings import ConfigManager
from dataworks_tasks.worker.presence import LOOK_SECONDS, Presence

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.25
_LOOK_EVERY_TICK = 25
"""Up to this many workers look at every tick; of more workers, about this many at each tick."""
_LONGEST_TURN_SECONDS = 5.0
_REFUSED_SECONDS = 30.0
_OUTAGE_SECONDS = 2.0
_CLAIMED_AT_ONCE = 20
_SPECS_KEPT = 100


class DriverTimer(bootsteps.StartStopStep):
    """Add it to an app with ``app.steps["consumer"].add(DriverTimer)``.

    It works in the worker's own process, on the event loop, and talks only to Redis: it notices
    what is due however busy the pool is. See LivenessStep for why it belongs to the consumer.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._entries: list[Any] = []
        self._ledger: RedisLedger | None = None
        self._presence: Presence | None = None

    def start(self, parent: Any) -> None:
        """Look four times a second from now on."""
        try:
            self._ledger = connect_ledger(ConfigManager().load_config(), Patience.EVENT_LOOP)
        except DataWorksError as error:
            log.warning("%s; this worker does not drive runs", error)
            return
        self._presence = Presence(parent, self._ledger)
        self._presence()
        self._entries.append(parent.timer.call_repeatedly(LOOK_SECONDS, self._presence))
        presence = self._presence
        look = DueMessages(
            parent.app, self._ledger, parent.app.amqp.queues.consume_from, lambda: presence.workers
        )
        self._entries.append(parent.timer.call_repeatedly(_TICK_SECONDS, look))

    def stop(self, parent: Any) -> None:
        """Stop looking."""
        while self._entries:
            parent.timer.cancel(self._entries.pop())
        if self._presence is not None:
            self._presence.leave()
            self._presence = None
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None


class DueMessages:
    """Sends a message for each step that is due, and the ranges whose time has come."""

    def __init__(
        self,
        app: Celery,
        ledger: Ledger,
        queues: Iterable[str],
        workers: Callable[[], int] = lambda: 1,
    ) -> None:
        """``queues``: returns the queues that this worker takes from at that time.

        ``workers``: returns how many there are. Many workers take turns, so that Redis is not asked
        more often.
        """
        self._app = app
        self._ledger = ledger
        self._queues = queues
        self._workers = workers
        self._quiet_until = 0.0
        self._specs: dict[str, RunSpec] = {}

    def __call__(self) -> None:
        """Look once. After an error of Redis, pause for a moment."""
        now = time.monotonic()
        if now < self._quiet_until:
            return
        turn = min(_LONGEST_TURN_SECONDS, self._workers() * _TICK_SECONDS / _LOOK_EVERY_TICK)
        if turn > _TICK_SECONDS:
            self._quiet_until = now + turn * random.uniform(0.5, 1.5)
        try:
            for queue in list(self._queues):
                for due in self._ledger.driver.claim(queue, _CLAIMED_AT_ONCE, CLAIM_SECONDS):
                    self._send(due, queue)
        except TransientError as error:
            self._quiet_until = time.monotonic() + _OUTAGE_SECONDS
            log.debug("due steps could not be read: %s", error)
        except DataWorksError as error:
            self._quiet_until = time.monotonic() + _REFUSED_SECONDS
            log.warning("%s; this worker does not drive runs for now", error)

    def _send(self, due: DueStep, queue: str) -> None:
        try:
            messages = RunQueue(self._app, self._ledger, self._spec(due.run_id), queue, retry=False)
            if due.step == WAKE:
                messages.refill()
                return
            if due.step == WatchMessages.name:
                self._ledger.windows.probe(due.run_id)
            messages.send_step(due.step)
        except UnknownName:
            self._ledger.driver.forget(due, queue)
        except TransientError:
            raise
        except DataWorksError as error:
            # The step was claimed for all workers: one that can read the run's spec may take it.
            self._ledger.driver.schedule(due.run_id, queue, (due.step,), REFUSED_STEP_SECONDS)
            log.warning("%s of %s was not started here: %s", due.step, due.run_id, error)

    def _spec(self, run_id: str) -> RunSpec:
        known = self._specs.get(run_id)
        if known is None:
            if len(self._specs) >= _SPECS_KEPT:
                self._specs.clear()
            known = self._specs[run_id] = self._ledger.spec(run_id)
        return known
