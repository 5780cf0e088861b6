"""A blocking read is ended early only where that cannot make an outage worse."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import SimpleNamespace

import pytest
from redis import Redis

from dataworks_tasks.broker import checked_transport
from dataworks_tasks.broker.blocking_read import end_blocking_read, worker_ends
from dataworks_tasks.broker.checked_transport import CheckedChannel


def nobody() -> AbstractContextManager[Redis]:
    raise AssertionError("Redis was asked")


def test_a_connection_that_is_gone_has_no_read_to_end() -> None:
    """An error of the poller leaves Kombu with a read on a connection that it has closed."""
    end_blocking_read(nobody, SimpleNamespace(_sock=None))


@pytest.mark.parametrize("ends", [False, True])
def test_only_a_worker_that_ends_asks_redis(monkeypatch: pytest.MonkeyPatch, ends: bool) -> None:
    asked: list[object] = []
    monkeypatch.setattr(checked_transport, "end_blocking_read", lambda *a: asked.append(a))
    monkeypatch.setattr("kombu.transport.redis.Channel.close", lambda _self: None)
    channel = CheckedChannel.__new__(CheckedChannel)
    channel._in_poll = object()
    if ends:
        worker_ends.set()
    try:
        channel.close()
    finally:
        worker_ends.clear()
        channel._in_poll = None
    assert len(asked) == ends
