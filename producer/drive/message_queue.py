"""The broker's queue, as the producer sees it: how many messages are left."""

from __future__ import annotations

from typing import Any

from celery import Celery

from dataworks_tasks.broker.broker_errors import broker_errors
from dataworks_tasks.broker.celery_settings import FIRST, LATER
from dataworks_tasks.ledger.redis_server import refuse_cluster
from producer.drive.observation import QueueDepth


class MessageQueue:
    """Raises LedgerUnavailable, which is transient, when the broker does not answer."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def check(self) -> None:
        """Raise SettingsError for a broker that Celery cannot use: a node of a Redis Cluster."""
        with broker_errors(), self._app.pool.acquire(block=True) as connection:
            refuse_cluster(_channel(connection).client)

    def depth(self) -> QueueDepth:
        """Return how many messages there are; those in hand are of every queue of this broker."""
        with broker_errors(), self._app.pool.acquire(block=True) as connection:
            channel = _channel(connection)
            name = self._app.conf.task_default_queue
            with channel.client.pipeline(transaction=False) as pipe:
                for priority in (FIRST, LATER):
                    pipe.llen(channel._q_for_pri(name, priority))
                pipe.hlen("unacked")
                first, later, in_hand = pipe.execute()
            return QueueDepth(first + later, in_hand)


def _channel(connection: Any) -> Any:
    return connection.default_channel
