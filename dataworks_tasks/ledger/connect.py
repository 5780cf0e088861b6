"""From settings to a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.redis_address import (
    SENTINEL_SCHEME,
    SentinelAddress,
    read_sentinel_address,
)

_SENTINEL_SECONDS = 2
"""A Sentinel that does not answer for this long is left for the next one."""


class Patience(Enum):
    """How long a client waits for a Redis that does not answer.

    A client for work repeats a command for minutes: every ledger step may be repeated. One that
    watches a run for a person gives up after three seconds, and one in an event loop after half a
    second.
    """

    WORK = "work"
    WATCH = "watch"
    EVENT_LOOP = "event loop"

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of redis-py."""
        if self is Patience.WORK:
            return {
                "socket_timeout": 10,
                "socket_connect_timeout": 5,
                "retry": _retry(4, RedisConnectionError, RedisTimeoutError),
            }
        if self is Patience.WATCH:
            return {
                "socket_timeout": 3,
                "socket_connect_timeout": 3,
                "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            }
        return {
            "socket_timeout": 0.5,
            "socket_connect_timeout": 0.5,
            "retry": Retry(NoBackoff(), 0),
        }


def _retry(times: int, *errors: type[Exception]) -> Retry:
    return Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), times, supported_errors=errors)


def connect_redis(config: FrameworkConfig, patience: Patience = Patience.WORK) -> Redis:
    """Return a client for the Redis that holds the ledger; it connects on first use."""
    url = config.effective_ledger_url.get_secret_value()
    options = {"socket_keepalive": True, "health_check_interval": 15, **patience.options}
    if url.startswith(SENTINEL_SCHEME):
        return _primary_of(read_sentinel_address(url), options)
    try:
        return Redis.from_url(url, **options)
    except ValueError:
        raise SettingsError(
            f"{ledger_setting(config)} is not a Redis URL",
            "Write redis://HOST:6379/0, or rediss:// for TLS",
        ) from None


@contextmanager
def one_silence(redis: Redis) -> Iterator[None]:
    """Within this, the client gives up the first time that it gets no answer, after ten seconds.

    It is for a command's first contact, when it may have been given a wrong address.
    """
    patient = redis.get_retry()
    redis.set_retry(_retry(2, RedisConnectionError))
    try:
        yield
    finally:
        if patient is not None:
            redis.set_retry(patient)


def _primary_of(address: SentinelAddress, options: dict[str, Any]) -> Redis:
    """Return a client for the primary that the Sentinels name, asked again at every reconnect."""
    sentinel = Sentinel(
        address.sentinels,
        sentinel_kwargs={
            "socket_timeout": _SENTINEL_SECONDS,
            "socket_connect_timeout": _SENTINEL_SECONDS,
            **address.sentinel_credentials,
        },
        db=address.database,
        **address.credentials,
    )
    primary: Redis = sentinel.master_for(address.master, **options)
    return primary


def connect_ledger(config: FrameworkConfig, patience: Patience = Patience.WORK) -> RedisLedger:
    """Return the ledger; see ``connect_redis``."""
    redis = connect_redis(config, patience)
    return RedisLedger(redis, ledger_setting(config))


def ledger_setting(config: FrameworkConfig) -> str:
    """Return the name of the setting that holds the ledger's address."""
    return config.called("LEDGER_URL" if config.ledger_url else "BROKER_URL")
