"""How often a Redis that does not answer is asked."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from dataworks_tasks.ledger.connect import Patience, connect_redis, one_silence
from dataworks_tasks.settings import FrameworkConfig


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Yield a server that takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        yield listening


def attempts(silent: socket.socket, patience: Patience, *, first_contact: bool = False) -> int:
    address = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
    with connect_redis(FrameworkConfig(broker_url=address), patience) as redis:
        redis.connection_pool.connection_kwargs["socket_timeout"] = 0.02
        silence = one_silence(redis) if first_contact else nullcontext()
        with silence, pytest.raises(RedisTimeoutError):
            redis.ping()
    found = 0
    while True:
        try:
            silent.accept()[0].close()
        except BlockingIOError:
            return found
        found += 1


@pytest.mark.parametrize("patience", [Patience.WATCH, Patience.EVENT_LOOP])
def test_who_must_not_wait_asks_once(silent: socket.socket, patience: Patience) -> None:
    assert attempts(silent, patience) == 1


def test_a_command_asks_once_at_first_and_again_afterwards(silent: socket.socket) -> None:
    assert attempts(silent, Patience.WORK, first_contact=True) == 1
    assert attempts(silent, Patience.WORK) >= 5
