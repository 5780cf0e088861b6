"""From settings to a ledger."""

from __future__ import annotations

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

_IMPATIENT_SECONDS = 0.5
_SENTINEL_SECONDS = 2
"""A Sentinel that does not answer for this long is left for the next one."""


def connect_redis(config: FrameworkConfig, *, impatient: bool = False) -> Redis:
    """Return a client for the Redis that holds the ledger; it connects on first use.

    A command on a dropped connection is retried a few times: every ledger step may be repeated. An
    ``impatient`` client fails within half a second, for callers in an event loop.
    """
    url = config.effective_ledger_url.get_secret_value()
    options: dict[str, Any] = {
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), retries=4),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
    }
    if impatient:
        options |= {
            "socket_timeout": _IMPATIENT_SECONDS,
            "socket_connect_timeout": _IMPATIENT_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_error": [],
        }
    if url.startswith(SENTINEL_SCHEME):
        return _primary_of(read_sentinel_address(url), options)
    try:
        return Redis.from_url(url, **options)
    except ValueError:
        raise SettingsError(
            f"{ledger_setting(config)} is not a Redis URL",
            "Write redis://HOST:6379/0, or rediss:// for TLS",
        ) from None


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


def connect_ledger(config: FrameworkConfig, *, impatient: bool = False) -> RedisLedger:
    """Return the ledger; see ``connect_redis``."""
    redis = connect_redis(config, impatient=impatient)
    return RedisLedger(redis, ledger_setting(config))


def ledger_setting(config: FrameworkConfig) -> str:
    """Return the name of the setting that holds the ledger's address."""
    return config.called("LEDGER_URL" if config.ledger_url else "BROKER_URL")
