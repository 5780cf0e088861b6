"""Marked passwords for Redis and MongoDB, and a search in everything that others can see."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest
import redis

from producer.local.celery_services import CeleryWorker, Flower
from producer.local.services import LocalServices
from tests.fleet import Fleet, wait_until
from tests.support.exact import check_exact, generate_arguments

REDIS_MARK = "markedRedisPassword4711"
MONGO_MARK = "markedMongoPassword0815"
MARKS = (REDIS_MARK, MONGO_MARK)
PAGES = ("/", "/workers", "/tasks", "/broker", "/metrics", "/api/workers?refresh=1", "/api/tasks")


def everything_in(client: redis.Redis) -> Iterator[str]:
    """Every key with its value, as text."""
    readers: dict[bytes, Callable[[bytes], object]] = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
    }
    for key in client.scan_iter():
        kind = client.type(key)
        yield f"{key!r} {readers[kind](key) if kind in readers else ''!r}"


def check_free(text: str, where: str) -> None:
    for mark in MARKS:
        assert mark not in text, f"{where} shows a password"


@pytest.fixture
def locked(own_services: LocalServices, tmp_path: Path) -> Iterator[Fleet]:
    """Yield a fleet whose servers ask for passwords."""
    own_services.start_stores()
    mongodb = own_services.mongodb_url
    with pymongo.MongoClient[dict[str, Any]](mongodb) as open_client:
        roles = [{"role": "root", "db": "admin"}]
        open_client.admin.command("createUser", "filler", pwd=MONGO_MARK, roles=roles)
    with redis.Redis.from_url(own_services.redis_url) as open_redis:
        open_redis.config_set("requirepass", REDIS_MARK)
    redis_url = own_services.redis_url.replace("://", f"://:{REDIS_MARK}@")
    target = mongodb.replace("://", f"://filler:{MONGO_MARK}@") + "?authSource=admin"
    target += "&serverSelectionTimeoutMS=1000"
    environment = {
        "FRAMEWORK_BROKER_URL": redis_url,
        "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": target,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": target,
        "FRAMEWORK_STALL_SECONDS": "2",
        "FRAMEWORK_LOG_LEVEL": "DEBUG",
    }
    debug = ("--loglevel", "DEBUG")

    def start_worker(concurrency: int = 1):  # type: ignore[no-untyped-def]
        return own_services.start(CeleryWorker(environment, "worker", concurrency, arguments=debug))

    with (
        redis.Redis.from_url(redis_url) as client,
        pymongo.MongoClient[dict[str, Any]](target, serverSelectionTimeoutMS=2000) as mongo,
    ):
        made = Fleet(environment, client, mongo, "shop", tmp_path, start_worker)
        yield made
        made.close()


@pytest.mark.timeout(240)
def test_no_password_is_shown_anywhere(locked: Fleet, own_services: LocalServices) -> None:
    total = 3000
    arguments = generate_arguments(locked, total, "--detach", batch_size=500)
    run_id = str(locked.run_json(*arguments)["run"])
    for text in everything_in(locked.redis):
        check_free(text, f"Redis before the work: {text[:40]}")
    locked.start_worker(1)
    own_services.start(Flower(locked.environment))
    resumed = locked.run("resume", run_id, "--json")
    with ThreadPoolExecutor() as threads:
        outputs = list(threads.map(lambda words: locked.run(*words, check=False), commands(run_id)))
    for done in (resumed, *outputs):
        check_free(done.stdout + done.stderr, f"the output of {done.args}")
    check_exact(locked, run_id, total)
    flower = own_services.urls()["flower"].rstrip("/")
    wait_until(
        lambda: (
            "worker@" in page(flower + "/api/workers?refresh=1") or "worker@" in page(flower + "/")
        ),
        "Flower knows the worker",
    )
    for path in PAGES:
        check_free(page(flower + path), f"Flower's {path}")
    for text in everything_in(locked.redis):
        check_free(text, f"Redis after the work: {text[:40]}")
    for process in psutil.Process(own_services.supervisor_pid).children(recursive=True):
        check_free(" ".join(process.cmdline()), "the process list")
    own_services.stop("mongod")
    refused = locked.run(*generate_arguments(locked, 10, collection="other"), check=False)
    check_free(refused.stdout + refused.stderr, "the error without a database")
    own_services.stop("worker")
    for log in own_services.folder.rglob("*"):
        if log.is_file() and log.parent.name == "logs":
            check_free(log.read_text(errors="replace"), log.name)
    for record in [*locked.folder.rglob("*.json"), *own_services.folder.glob("*.json")]:
        check_free(record.read_text(), str(record))


def commands(run_id: str) -> Iterator[tuple[str, ...]]:
    yield ("runs", "--json")
    yield ("status", run_id, "--json")
    yield ("status", run_id, "--spec")
    yield ("verify", run_id)
    yield ("doctor", "--json")
    yield ("failures", run_id)


def page(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own Flower
            return str(answer.read().decode(errors="replace"))
    except urllib.error.HTTPError as refusal:
        return str(refusal.read().decode(errors="replace"))
