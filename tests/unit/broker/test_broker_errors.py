"""How a server's refusals look to users: one fact, and nothing of the data."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from dataworks_tasks.broker.broker_errors import broker_errors
from dataworks_tasks.errors import LedgerUnavailable
from dataworks_tasks.ledger.redis_steps import refused

FULL = "command not allowed when used memory > 'maxmemory'."


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError(FULL),
        ResponseError(f"OOM {FULL} script: on @user_script:2."),
        ResponseError(f"Command # 1 (SET key secret) of pipeline caused error: {FULL}"),
    ],
)
def test_a_full_redis_is_called_full(error: RedisError) -> None:
    with (
        pytest.raises(LedgerUnavailable, match="Redis is full and stores nothing"),
        broker_errors(),
    ):
        raise error
    with (
        pytest.raises(LedgerUnavailable, match="Redis is full and stores nothing"),
        broker_errors(),
    ):
        raise OperationalError(str(error)) from error
    assert str(refused(error)).startswith("Redis is full and stores nothing")


def test_a_redis_without_room_on_its_disk_is_not_called_silent() -> None:
    error = ResponseError("MISCONF Errors writing to the AOF file: No space left on device")
    for raised in (error, OperationalError(str(error))):
        raised.__cause__ = None if raised is error else error
        with (
            pytest.raises(LedgerUnavailable, match="Redis cannot write to its disk and stores"),
            broker_errors(),
        ):
            raise raised


def test_what_was_to_be_stored_is_not_shown() -> None:
    said = str(refused(ResponseError("Command # 1 (SET key secret) of pipeline caused error: no.")))
    assert said == "Redis could not store: no"


def test_a_broker_that_is_gone_does_not_answer() -> None:
    with (
        pytest.raises(LedgerUnavailable, match="the broker does not answer: gone"),
        broker_errors(),
    ):
        raise RedisConnectionError("gone")
