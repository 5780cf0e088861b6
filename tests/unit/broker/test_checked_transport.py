"""Broadcasts and workers' answers are checked on every kind of channel."""

from __future__ import annotations

import json
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from dataworks_tasks.broker.checked_transport import (
    CheckedChannel,
    CheckedQoS,
    CheckedRedis,
    CheckedSentinelChannel,
)

ANSWERS = b"d2c1.reply.celery.pidbox"


def _message(body: object) -> bytes:
    properties = {
        "delivery_tag": "1",
        "body_encoding": "base64",
        "delivery_info": {"exchange": "reply.celery.pidbox", "routing_key": "d2c1"},
    }
    return json.dumps(
        {
            "body": b64encode(json.dumps(body).encode()).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"clock": 3},
            "properties": properties,
        }
    ).encode()


@pytest.mark.parametrize("kind", [CheckedChannel, CheckedSentinelChannel])
@pytest.mark.parametrize("data", [b"garbage", b"{}", _message(["no command"])])
def test_a_command_that_nobody_can_read_is_dropped(kind: type, data: bytes) -> None:
    channel: Any = object.__new__(kind)
    found = channel._handle_message(None, [b"pmessage", b"/0.*", b"/0.celery.pidbox", data])
    assert found["data"] is None
    good = _message({"method": "ping", "arguments": {}, "destination": None})
    kept = channel._handle_message(None, [b"pmessage", b"/0.*", b"/0.celery.pidbox", good])
    assert kept["data"] == good


def test_a_worker_that_starts_hears_the_answers_of_the_others() -> None:
    client: Any = CheckedRedis.from_url("redis://localhost/0")

    def read(key: bytes, data: bytes) -> Any:
        connection = SimpleNamespace(read_response=lambda **_: [key, data])
        return client.parse_response(connection, "BRPOP")

    answer = _message({"celery@other": {"clock": 5, "revoked": {}}})
    assert list(read(ANSWERS, answer)) == [ANSWERS, answer]
    assert read(ANSWERS, b"garbage") is None
    assert read(b"dataworks", answer) is None, "no task of ours"


@pytest.mark.parametrize("kind", [CheckedChannel, CheckedSentinelChannel])
def test_an_acknowledgement_on_a_closed_channel_is_a_lost_connection(kind: type) -> None:
    """Celery waits for Redis then. The AttributeError that kombu raises ends the worker."""
    channel: Any = object.__new__(kind)
    channel.connection = SimpleNamespace(client=None)  # as kombu leaves it after an outage
    with pytest.raises(redis.ConnectionError, match="the channel was closed"):
        CheckedQoS(channel).ack("tag")


@pytest.mark.parametrize("kind", [CheckedChannel, CheckedSentinelChannel])
def test_a_channel_keeps_its_client_until_its_connections_are_others(kind: type) -> None:
    channel: Any = object.__new__(kind)
    channel.connection = SimpleNamespace(client=object())
    channel.Client = CheckedRedis
    channel._pool = before = redis.ConnectionPool()
    channel._async_pool = redis.ConnectionPool()
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
        assert first is second
        assert first.connection_pool is before
    assert channel._create_client(asynchronous=True).connection_pool is channel._async_pool
    channel._pool = after = redis.ConnectionPool()  # as after an outage
    with channel.conn_or_acquire() as third:
        assert third.connection_pool is after
