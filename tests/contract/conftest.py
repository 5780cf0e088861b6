"""The same contract tests run on fakeredis and on a real server."""

from __future__ import annotations

import os
from collections.abc import Iterator

import fakeredis
import pytest
from redis import Redis

from dataworks_tasks.ledger.redis_ledger import RedisLedger

KINDS = ["fakeredis", "server"]
"""A mutation run takes the first one only: what is changed is our code."""


@pytest.fixture(params=KINDS[:1] if "MUTANT_UNDER_TEST" in os.environ else KINDS)
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
