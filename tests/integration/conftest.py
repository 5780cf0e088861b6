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


def _environment(redis_url: str, source: str, target: str, database: str) -> dict[str, str]:
    return {
        "FRAMEWORK_BROKER_URL": redis_url,
        "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": source,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": target,
        "FRAMEWORK_TARGET_DB_NAME": database,
        "FRAMEWORK_STALL_SECONDS": "2",
        "FRAMEWORK_CLAIM_SECONDS": "3",
        "FRAMEWORK_LATE_WRITE_SECONDS": "2",
    }


def _drop(mongo: pymongo.MongoClient[dict[str, Any]], prefix: str) -> None:
    for name in mongo.list_database_names():
        if name.startswith(prefix):
            mongo.drop_database(name)


@pytest.fixture
def live_fleet(
    redis_url: str,
    redis_client: redis.Redis,
    replica_set_url: str,
    worker_factory: WorkerFactory,
    tmp_path: Path,
) -> Iterator[Fleet]:
    """Yield a fleet with a source and a target database of its own on the shared replica set."""
    database = f"test_{uuid.uuid4().hex[:12]}"
    environment = _environment(redis_url, replica_set_url, replica_set_url, database)

    def start_worker(concurrency: int = 1, **more: str) -> RunningService:
        return worker_factory({**environment, **more}, concurrency)

    with pymongo.MongoClient[dict[str, Any]](replica_set_url) as mongo:
        made = Fleet(environment, redis_client, mongo, database, tmp_path, start_worker)
        yield made
        made.close()
        _drop(mongo, database)


@pytest.fixture
def two_servers(
    redis_url: str,
    redis_client: redis.Redis,
    replica_set_url: str,
    other_replica_set_url: str,
    worker_factory: WorkerFactory,
    tmp_path: Path,
) -> Iterator[tuple[Fleet, pymongo.MongoClient[dict[str, Any]]]]:
    """Yield a fleet whose source is a server of its own, and a client of that source."""
    database = f"test_{uuid.uuid4().hex[:12]}"
    environment = _environment(redis_url, other_replica_set_url, replica_set_url, database)

    def start_worker(concurrency: int = 1, **more: str) -> RunningService:
        return worker_factory({**environment, **more}, concurrency)

    with (
        pymongo.MongoClient[dict[str, Any]](other_replica_set_url) as source,
        pymongo.MongoClient[dict[str, Any]](replica_set_url) as target,
    ):
        made = Fleet(environment, redis_client, target, database, tmp_path, start_worker)
        yield made, source
        made.close()
        source.admin.command({"setUserWriteBlockMode": 1, "global": False})
        for mongo in (source, target):
            _drop(mongo, database)
