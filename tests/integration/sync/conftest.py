"""Fleets whose databases are a replica set: claims, fences and change streams need one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis

from producer.local.services import RunningService
from tests.conftest import WorkerFactory
from tests.fleet import Fleet


@pytest.fixture
def live_fleet(
    redis_url: str,
    redis_client: redis.Redis,
    replica_set_url: str,
    worker_factory: WorkerFactory,
    tmp_path: Path,
) -> Iterator[Fleet]:
    """A fleet with a source and a target database of its own on the shared replica set."""
    database = f"test_{uuid.uuid4().hex[:12]}"
    environment = {
        "FRAMEWORK_BROKER_URL": redis_url,
        "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": replica_set_url,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": replica_set_url,
        "FRAMEWORK_TARGET_DB_NAME": database,
        "FRAMEWORK_STALL_SECONDS": "2",
        "FRAMEWORK_CLAIM_SECONDS": "3",
        "FRAMEWORK_LATE_WRITE_SECONDS": "2",
    }

    def start_worker(concurrency: int = 1, **more: str) -> RunningService:
        return worker_factory({**environment, **more}, concurrency)

    with pymongo.MongoClient[dict[str, Any]](replica_set_url) as mongo:
        made = Fleet(environment, redis_client, mongo, database, tmp_path, start_worker)
        yield made
        made.close()
        for name in mongo.list_database_names():
            if name.startswith(database):
                mongo.drop_database(name)
