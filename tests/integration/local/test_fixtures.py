"""The fixtures that other tests build on: workers that consume, databases of one's own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pymongo
import redis
from celery import Celery

from producer.local.celery_services import Flower
from producer.local.process_control import children_of, is_running
from producer.local.services import LocalServices, RunningService

HERE = Path(__file__).parent


def environment(redis_url: str) -> dict[str, str]:
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return {"EXAMPLE_BROKER": redis_url, "PYTHONPATH": path}


def wait_for_log(service: RunningService, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in service.site.log_text():
        assert time.monotonic() < deadline, service.site.log_text()
        time.sleep(0.02)


def test_a_worker_runs_tasks_and_is_killed_with_its_pool(
    worker_factory: Any, redis_url: str, local_services: LocalServices
) -> None:
    worker = worker_factory(environment(redis_url), concurrency=2, application="example_app")
    pool = children_of(worker.pid)
    with Celery(broker=redis_url) as app:
        app.send_task("example.nap", [600])
    wait_for_log(worker, "napping")
    local_services.stop(worker.name, SIGKILL)
    assert not [pid for pid in (worker.pid, *pool) if is_running(pid)]


def test_an_idle_worker_stops_by_itself_within_its_grace(
    worker_factory: Any, redis_url: str, local_services: LocalServices
) -> None:
    worker = worker_factory(environment(redis_url), application="example_app")
    assert local_services.stop(worker.name) == 0


def test_flower_answers(local_services: LocalServices, redis_url: str) -> None:
    flower = Flower(environment(redis_url), application="example_app")
    try:
        service = local_services.start(flower)[0]
        assert str(service.url).startswith("http://127.0.0.1:")
    finally:
        local_services.stop("flower")


def test_a_test_has_an_empty_redis_database_of_its_own(
    redis_url: str, redis_client: redis.Redis, valkey_server: RunningService
) -> None:
    assert redis_url != valkey_server.url
    assert redis_client.dbsize() == 0
    redis_client.set("a", 1)
    with redis.Redis.from_url(str(valkey_server.url)) as other:
        assert other.get("a") is None


def test_a_test_has_a_database_of_its_own(
    database_name: str, mongo_client: pymongo.MongoClient[dict[str, Any]]
) -> None:
    assert mongo_client[database_name].list_collection_names() == []
    mongo_client[database_name].orders.insert_one({})


def test_the_replica_set_has_transactions(replica_set_url: str, run_prefix: str) -> None:
    with (
        pymongo.MongoClient[dict[str, Any]](replica_set_url) as client,
        client.start_session() as session,
    ):
        with session.start_transaction():
            client[run_prefix].orders.insert_one({}, session=session)
        client.drop_database(run_prefix)
