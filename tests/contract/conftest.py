"""The contract tests run on a real server."""

from __future__ import annotations

import os
from collections.abc import Iterator

import fakeredis
import pytest
from redis import Redis

from dataworks_tasks.ledger.redis_ledger import RedisLedger


@pytest.fixture
def redis(request: pytest.FixtureRequest) -> Iterator[Redis]:
    """Yield an empty Redis.

    A mutation run takes the fake one, so as not to start a server for each change. It shows that
    the fake, which unit tests use, agrees.
    """
    if "MUTANT_UNDER_TEST" in os.environ:
        yield fakeredis.FakeRedis()
        return
    client = Redis.from_url(request.getfixturevalue("redis_url"))
    yield client
    client.close()


@pytest.fixture
def ledger(redis: Redis) -> RedisLedger:
    """Return a ledger on it."""
    return RedisLedger(redis)
