"""The broker's queue as the producer sees it: put messages in, ask how many are left."""

from __future__ import annotations

from collections.abc import Sequence

from celery import Celery

from dataworks_tasks.broker.broker_errors import broker_errors
from dataworks_tasks.broker.messages import RangeMessage, send_finish
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.redis_server import refuse_cluster
from producer.drive.observation import QueueDepth


class MessageQueue:
    """Raises LedgerUnavailable (it passes) when the broker does not answer."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._is_checked = False

    def send(self, messages: Sequence[RangeMessage]) -> None:
        """Put the messages on the queue, in order."""
        if not messages:
            return
        with broker_errors(), self._app.producer_pool.acquire(block=True) as producer:
            for message in messages:
                failpoint("send.before")
                message.send(self._app, producer)
                failpoint("send.after")

    def send_finish(self, run_id: str) -> None:
        """Ask a worker to finish the run."""
        send_finish(self._app, run_id)

    def depth(self) -> QueueDepth:
        """How many messages there are; those in hand are of every queue of this broker.

        Raises SettingsError for a node of a Redis Cluster when it is first asked.
        """
        with broker_errors(), self._app.pool.acquire(block=True) as connection:
            redis = connection.default_channel.client  # type: ignore[attr-defined]
            if not self._is_checked:
                refuse_cluster(redis)
                self._is_checked = True
            waiting = redis.llen(self._app.conf.task_default_queue)
            return QueueDepth(waiting, redis.hlen("unacked"))
