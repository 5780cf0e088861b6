"""The same contract tests run on fakeredis and on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest
from redis import Redis

from dataworks_tasks.ledger.redis_ledger import RedisLedger


@pytest.fixture(params=["fakeredis", "server"])
def redis(request: pytest.FixtureRequest) -> Iterator[Redis]:
    """Yield a Redis of each kind."""
    if request.param == "fakeredis":
        yield fakeredis.FakeRedis()
        return
    client = Redis.from_url(request.getfixturevalue("redis_url"))
    yield client
    client.close()


@pytest.fixture
def ledger(redis: Redis) -> RedisLedger:
    """Return a ledger on it."""
    return RedisLedger(redis)
