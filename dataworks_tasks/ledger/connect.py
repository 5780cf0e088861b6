"""From settings to a ledger."""

from __future__ import annotations

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.settings import FrameworkConfig


def connect_redis(config: FrameworkConfig) -> Redis:
    """The Redis that holds the ledger. Connects when it is first used.

    A command that met a dropped connection is sent again a few times: every ledger step may be
    done twice.
    """
    url = config.effective_ledger_url.get_secret_value()
    try:
        return Redis.from_url(
            url,
            socket_timeout=10,
            socket_connect_timeout=5,
            socket_keepalive=True,
            health_check_interval=15,
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), retries=4),
            retry_on_error=[RedisConnectionError, RedisTimeoutError],
        )
    except ValueError:
        raise SettingsError(
            "FRAMEWORK_LEDGER_URL (or FRAMEWORK_BROKER_URL) is not a Redis URL",
            "Write redis://HOST:6379/0, or rediss:// for TLS",
        ) from None


def connect_ledger(config: FrameworkConfig) -> RedisLedger:
    """The ledger."""
    return RedisLedger(connect_redis(config))
