"""What a Redis server is, and whether the ledger and Celery can use it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.ledger.redis_steps import RedisSteps

UNKNOWN = "unknown"
"""The value of facts that the user may not read."""


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """A Redis server's name and version, and whether it may lose what the ledger trusts it with."""

    server: str
    version: str
    append_only: bool | None
    eviction: str
    used_bytes: int = 0
    most_bytes: int = 0
    """The limit that its settings give it; 0: none."""
    clock_ahead_seconds: float = 0.0
    """How far its clock is ahead of this machine's."""
    cannot_write: bool = False
    folder: str = ""


@dataclass(frozen=True, slots=True)
class RedisMemory:
    """Bytes; ``limit`` is 0 without a limit, or if the user may not ask.

    ``cannot_write``: it could not write its append-only file, and stores nothing until it can.
    ``folder``: where that file is, on its machine; empty if it can write or does not say.
    """

    used: int = 0
    limit: int = 0
    cannot_write: bool = False
    folder: str = ""


def cannot_write_to(folder: str) -> str:
    """Return the sentence about a Redis that cannot write its append-only file in ``folder``."""
    disk = f"the disk of {folder}" if folder else "its disk"
    return f"Redis cannot write to {disk} and stores nothing"


def read_memory(steps: RedisSteps) -> RedisMemory:
    """Return how full the server is."""

    def read() -> Mapping[str, Any]:
        try:
            return {**steps.redis.info("memory"), **steps.redis.info("persistence")}
        except ResponseError:  # the user may not ask, or the server does not say
            return {}

    info = steps.guard("", read)
    return RedisMemory(
        int(info.get("used_memory", 0)),
        int(info.get("maxmemory", 0)),
        *_disk(steps, info),
    )


def read_facts(steps: RedisSteps) -> RedisFacts:
    """Return what the server reports about itself; ``unknown`` if the user may not ask."""
    ahead = _clock_ahead(steps)
    try:
        info = steps.redis.info()
    except NoPermissionError:
        return RedisFacts("redis", UNKNOWN, None, UNKNOWN, clock_ahead_seconds=ahead)
    except RedisError:
        info = steps.guard("", steps.redis.info)
    cannot_write, folder = _disk(steps, info)
    return RedisFacts(
        server=str(info.get("server_name", "redis")),
        version=str(info.get("valkey_version", info.get("redis_version", UNKNOWN))),
        append_only=bool(info.get("aof_enabled", 0)),
        eviction=str(info.get("maxmemory_policy", UNKNOWN)),
        used_bytes=int(info.get("used_memory", 0)),
        most_bytes=int(info.get("maxmemory", 0)),
        clock_ahead_seconds=ahead,
        cannot_write=cannot_write,
        folder=folder,
    )


def _disk(steps: RedisSteps, info: Mapping[str, Any]) -> tuple[bool, str]:
    """Return whether the server cannot write its append-only file, and if so, the file's folder."""
    if info.get("aof_last_write_status", "ok") == "ok":
        return False, ""
    try:
        return True, str(steps.redis.config_get("dir").get("dir", ""))
    except RedisError:  # the user may not ask
        return True, ""


def _clock_ahead(steps: RedisSteps) -> float:
    """Return how far the server's clock is ahead; half of the round trip is the way back."""
    asked = time.time()
    seconds, microseconds = steps.guard("", steps.redis.time)
    answered = time.time()
    return float(seconds) + float(microseconds) / 1e6 - (asked + answered) / 2


def refuse_cluster(redis: Redis) -> None:
    """Raise SettingsError for a node of a Redis Cluster.

    Celery's steps over several keys fail on a cluster. The check costs a round trip; it is skipped
    if the user may not ask.
    """
    try:
        is_cluster = redis.info("cluster").get("cluster_enabled")
    except NoPermissionError:
        return
    if is_cluster:
        raise SettingsError(
            "this Redis is a node of a Redis Cluster, which Celery cannot use",
            "Use one server without cluster mode, or Sentinels: sentinel://HOST:26379/0?master=X",
        )
