"""Indexes that take longer than a socket waits, on a mongod that pauses while it builds."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient
from redis import Redis

from producer.local.binaries import MONGOD, find_binary
from producer.local.child_command import ChildCommand
from producer.local.mongod import Mongod
from producer.local.service_definition import ServiceSite
from producer.local.services import LocalServices, RunningService
from tests.conftest import WorkerFactory
from tests.fleet import Fleet, pool_children, wait_until

PAUSE = "hangAfterStartingIndexBuild"


@dataclass(frozen=True, slots=True)
class MongodWithPauses(Mongod):
    """A mongod that stops at named places on request."""

    def command(self, site: ServiceSite) -> ChildCommand:
        plain = Mongod.command(self, site)
        more = ("--setParameter", "enableTestCommands=1")
        return replace(plain, arguments=(*plain.arguments, *more))


@pytest.fixture
def pausing_fleet(
    local_services: LocalServices,
    stores_available: None,
    redis_url: str,
    redis_client: Redis,
    worker_factory: WorkerFactory,
    tmp_path: Path,
) -> Iterator[Fleet]:
    mongod = MongodWithPauses(find_binary(MONGOD), name="mongod-with-pauses")
    url = str(local_services.start(mongod)[0].url)
    environment = {
        "FRAMEWORK_BROKER_URL": redis_url,
        "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": url,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": f"{url}?socketTimeoutMS=1000",
        "FRAMEWORK_STALL_SECONDS": "2",
        "FRAMEWORK_RANGE_SECONDS": "2",
    }

    def start_worker(concurrency: int = 1) -> RunningService:
        return worker_factory(environment, concurrency)

    with MongoClient[dict[str, Any]](url) as mongo:
        fleet = Fleet(environment, redis_client, mongo, "shop", tmp_path, start_worker)
        yield fleet
        fleet.close()
    local_services.stop("mongod-with-pauses")


@contextmanager
def paused(mongo: MongoClient[dict[str, Any]]) -> Iterator[None]:
    mongo.admin.command("configureFailPoint", PAUSE, mode="alwaysOn")
    try:
        yield
    finally:
        mongo.admin.command("configureFailPoint", PAUSE, mode="off")


def running_builds(fleet: Fleet) -> list[Any]:
    """Return the builds in the server, by their operations' ids."""
    operations = fleet.mongo.admin.command({"currentOp": 1, "msg": {"$regex": "^Index Build"}})
    return [operation["opid"] for operation in operations["inprog"]]


def read_to(producer: subprocess.Popen[str], words: str) -> None:
    """Read what a command prints until it says ``words``."""
    assert producer.stdout is not None
    for line in producer.stdout:
        if words in line:
            return
    pytest.fail(f"the command ended, and did not say {words!r}")


def test_a_long_build_is_shown_survives_kills_and_is_done_once(pausing_fleet: Fleet) -> None:
    fleet = pausing_fleet
    database = fleet.mongo["shop"]
    database["orders"].insert_many([{"_id": n, "a": n % 7} for n in range(3000)])
    database["orders"].create_index("a")
    worker = fleet.start_worker()
    with paused(fleet.mongo):
        producer = fleet.start("migrate", "--include", "shop.orders", "--to", "shop.copy")
        run_id = fleet.newest_run()

        def shown() -> bool:
            return "building a_1 of shop.copy" in (fleet.ledger.progress(run_id).finishing or "")

        wait_until(shown, "the build is on record")
        (build,) = wait_until(lambda: running_builds(fleet), "the server builds")
        status = json.loads(fleet.run("status", run_id, "--json", check=False).stdout)
        assert status["seconds_left"] is not None, "the build is a part of the estimate"
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 2.5, "longer than a socket and a turn last")
        producer.kill()
        for child in list(pool_children(worker)):
            child.kill()
        psutil.wait_procs([psutil.Process(producer.pid)], timeout=5)
        resumed = fleet.start("resume", run_id)
        read_to(resumed, "building a_1 of shop.copy")
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 2.5, "the resumed run waits as well")
        assert resumed.poll() is None
        assert running_builds(fleet) == [build]
        assert fleet.ledger.progress(run_id).state == "running"
    output, _ = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, output
    assert "a_1" in database["copy"].index_information()
    target = fleet.ledger.spec(run_id).target_fingerprint
    assert fleet.ledger.index_speeds.read(target) is None, "nobody knows when that build began"
    with paused(fleet.mongo):
        producer = fleet.start("migrate", "--include", "shop.orders", "--to", "shop.other")
        wait_until(lambda: running_builds(fleet), "the server builds")
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 1.2, "longer than any build of 3,000")
    assert producer.wait(timeout=60) == 0
    speed = fleet.ledger.index_speeds.read(target)
    assert speed is not None
    assert speed.least > 50, "the next run on this target knows that its builds take long"
