"""What a Redis server is, and whether the ledger and Celery can use it."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis
from redis.exceptions import NoPermissionError

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.ledger.redis_steps import RedisSteps


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """A Redis server's name and version, and whether it may lose what the ledger trusts it with."""

    server: str
    version: str
    append_only: bool
    eviction: str


def read_facts(steps: RedisSteps) -> RedisFacts:
    """What the server says of itself; ``unknown`` where the user may not ask."""
    info = steps.guard("", steps.redis.info)
    return RedisFacts(
        server=str(info.get("server_name", "redis")),
        version=str(info.get("valkey_version", info.get("redis_version", "unknown"))),
        append_only=bool(info.get("aof_enabled", 0)),
        eviction=str(info.get("maxmemory_policy", "unknown")),
    )


def refuse_cluster(redis: Redis) -> None:
    """Raise SettingsError for a node of a Redis Cluster, where Celery's steps over several keys
    fail. Costs a round trip; a user who may not ask is not asked."""
    try:
        is_cluster = redis.info("cluster").get("cluster_enabled")
    except NoPermissionError:
        return
    if is_cluster:
        raise SettingsError(
            "this Redis is a node of a Redis Cluster, for which Celery has no transport",
            "Name one server without cluster mode, or Sentinels: sentinel://HOST:26379/0?master=X",
        )
