"""Kombu's Redis transport, which validates every message and drops those DataWorks did not send.

Without it one ``LPUSH`` of garbage ends a worker, because the transport lets the error of the JSON
parser out of the event loop (kombu 5.7, ``Channel._brpop_read``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from celery.app.amqp import AMQP
from kombu import Connection
from kombu.transport import redis as redis_transport
from redis import ConnectionError, Redis

from dataworks_tasks.broker.blocking_read import end_blocking_read, worker_ends
from dataworks_tasks.broker.envelope import control_refusal, refusal
from dataworks_tasks.broker.server_clock import ServerClock
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.logs import without_credentials

log = logging.getLogger(__name__)


_clock = ServerClock()
redis_transport.time = _clock  # type: ignore[attr-defined]
_ANSWERS = b".reply.celery.pidbox"
"""Queues in which workers answer to control commands; one that starts asks the others."""


class CheckedRedis(Redis):
    """Hands out what ``BRPOP`` brings only when it is a message of DataWorks."""

    def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
        """Return the reply, or an empty one if it is a message that is refused."""
        reply = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        if command_name != "BRPOP" or not reply:
            return reply
        is_answer = reply[0].endswith(_ANSWERS)
        reason = control_refusal(reply[1], order=False) if is_answer else refusal(reply[1])
        if reason is None:
            return reply
        log.warning(
            "a message in %s was rejected: %s; it is dropped, nothing was written",
            reply[0].decode(errors="replace"),
            reason,
        )
        return None


class CheckedQoS(redis_transport.QoS):
    """Kombu's record of deliveries that are not acknowledged, in the server's time.

    Kombu compares this machine's clock with times that other machines wrote: a machine whose clock
    is minutes ahead would give back the messages that others hold, every few seconds.
    """

    def append(self, message: Any, delivery_tag: str) -> None:
        """Record a delivery."""
        if not _clock.is_set:
            with self.channel.conn_or_acquire() as client:  # type: ignore[attr-defined]
                _clock.set_by(client)
        super().append(message, delivery_tag)

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Give back what was delivered too long ago."""
        with self.channel.conn_or_acquire() as client:  # type: ignore[attr-defined]
            _clock.set_by(client)
        super().restore_visible(start, num, interval)

    def ack(self, delivery_tag: str) -> None:
        """Take the message off the broker."""
        failpoint("celery-ack.before")
        super().ack(delivery_tag)
        failpoint("celery-ack.after")


class _Checked:
    """What both kinds of channel do: read through ``CheckedRedis``, and check what is broadcast."""

    def _handle_message(self, client: Any, r: Any) -> dict[str, Any]:
        """Return a pub/sub message, without its data if nothing could decode it."""
        payload: dict[str, Any] = super()._handle_message(client, r)  # type: ignore[misc]
        data, channel = payload["data"], payload["channel"]
        if not isinstance(data, bytes | str) or not payload["type"].endswith(b"message"):
            return payload
        reason = control_refusal(data, order=channel.endswith(b".pidbox"))
        if reason is None:
            return payload
        log.warning(
            "a message on the channel %s was rejected: %s; it is dropped",
            channel.decode(errors="replace"),
            reason,
        )
        return {**payload, "data": None}

    _in_poll: Any
    _client_kept: Redis | None = None

    def close(self) -> None:
        """Close the channel; a worker that ends does not wait until its blocking read times out."""
        if self._in_poll and worker_ends.is_set():
            end_blocking_read(self.conn_or_acquire, self._in_poll)  # type: ignore[attr-defined]
        super().close()  # type: ignore[misc]

    def _create_client(self, asynchronous: bool = False) -> Redis:
        """Return a client. Raises ConnectionError on a closed channel.

        Kombu asks for one several times a message, and creating it takes as long as a command: a
        channel keeps one for as long as it has the same pool of connections.

        Kombu 5.7's own method ends the worker with an AttributeError on a channel that it closed
        after an outage and that still has acknowledgements to send.
        """
        transport = self.connection  # type: ignore[attr-defined]
        if transport is None or transport.client is None:
            raise ConnectionError("the channel was closed: its messages are delivered again")
        if asynchronous:
            polling: Redis = super()._create_client(asynchronous=True)  # type: ignore[misc]
            return polling
        kept = self._client_kept
        if kept is None or kept.connection_pool is not self.pool:  # type: ignore[attr-defined]
            kept = self._client_kept = super()._create_client()  # type: ignore[misc]
        return kept

    def _get_client(self) -> Callable[..., Redis]:
        super()._get_client()  # type: ignore[misc] # refuses a redis-py that is too old
        return CheckedRedis


class CheckedChannel(_Checked, redis_transport.Channel):
    """Reads through ``CheckedRedis``, including messages that other processes gave back."""

    QoS = CheckedQoS


class CheckedTransport(redis_transport.Transport):
    """The transport of every ``redis://`` and ``rediss://`` address."""

    Channel = CheckedChannel


class CheckedSentinelChannel(_Checked, redis_transport.SentinelChannel):
    """The same guard on the server that Sentinels name as primary."""

    QoS = CheckedQoS


class CheckedSentinelTransport(redis_transport.SentinelTransport):
    """The transport of every ``sentinel://`` address."""

    Channel = CheckedSentinelChannel


_CHECKED: Mapping[type, type] = {
    redis_transport.Transport: CheckedTransport,
    redis_transport.SentinelTransport: CheckedSentinelTransport,
}


class CheckedConnection(Connection):
    """Keeps the name of the transport, which Flower and the worker's banner show."""

    def get_transport_cls(self) -> type:
        """Return a checked transport instead of kombu's."""
        found: type = super().get_transport_cls()
        return _CHECKED.get(found, found)

    def info(self) -> dict[str, Any]:
        """Return what ``inspect stats`` and Flower show, without passwords.

        Kombu's own version contains the password of every Sentinel's address, and the Sentinels'
        own.
        """
        info = dict(super().info())
        info["alternates"] = [without_credentials(url) for url in info.get("alternates", ())]
        options = dict(info.get("transport_options") or {})
        options.pop("sentinel_kwargs", None)
        return {**info, "transport_options": options}


class CheckedQueue(AMQP):
    """For ``Celery(amqp=...)``."""

    Connection = CheckedConnection
