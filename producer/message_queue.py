"""The broker's queue as the producer sees it: put messages in, ask how many are left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from dataworks_tasks.errors import LedgerUnavailable
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.redis_server import refuse_cluster
from dataworks_tasks.range_message import RangeMessage, send_finish


class QueueDepth(NamedTuple):
    """Messages that wait, and messages that workers hold and have not acknowledged."""

    waiting: int
    in_hand: int


class MessageQueue:
    """Raises LedgerUnavailable (it passes) when the broker does not answer."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._is_checked = False

    @staticmethod
    @contextmanager
    def _broker() -> Iterator[None]:
        """Raise the broker's errors as ours."""
        try:
            yield
        except (OperationalError, RedisError, OSError) as error:
            raise LedgerUnavailable(f"the broker does not answer: {error}") from None
        except AttributeError as error:
            # A Redis that goes away while kombu (5.7) declares the queue makes it connect again and
            # then publish by the channel that it has closed for that, which has no connection.
            if error.obj is not None or error.name != "client":
                raise
            raise LedgerUnavailable("the broker does not answer: its channel is closed") from None

    def send(self, messages: Sequence[RangeMessage]) -> None:
        """Put the messages on the queue, in order."""
        if not messages:
            return
        with self._broker(), self._app.producer_pool.acquire(block=True) as producer:
            for message in messages:
                failpoint("send.before")
                message.send(self._app, producer)
                failpoint("send.after")

    def send_finish(self, run_id: str) -> None:
        """Ask a worker to finish the run."""
        with self._broker():
            send_finish(self._app, run_id)

    def depth(self) -> QueueDepth:
        """How many messages there are; those in hand are of every queue of this broker.

        Raises SettingsError for a node of a Redis Cluster when it is first asked.
        """
        with self._broker(), self._app.pool.acquire(block=True) as connection:
            redis = connection.default_channel.client  # type: ignore[attr-defined]
            if not self._is_checked:
                refuse_cluster(redis)
                self._is_checked = True
            waiting = redis.llen(self._app.conf.task_default_queue)
            return QueueDepth(waiting, redis.hlen("unacked"))
