"""``dataworks doctor`` on real servers and workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fleet import Fleet, wait_until


def _checks(fleet: Fleet) -> dict[str, dict[str, Any]]:
    lines = fleet.run("doctor", "--json", check=False).stdout.splitlines()
    return {check["name"]: check for check in map(json.loads, lines)}


def test_a_fleet_that_fits_is_fine(fleet: Fleet) -> None:
    fleet.start_worker(1)
    checks = _checks(fleet)
    assert all(check["ok"] for check in checks.values()), checks
    assert checks["worker"]["found"].endswith("1 process, version 0.1.0")
    assert "access control may be off" in checks["target rights"]["found"]
    done = fleet.run("doctor")
    assert "OK    redis" in done.stdout
    assert "FAIL" not in done.stdout


def test_a_worker_of_other_servers_is_named(fleet: Fleet) -> None:
    elsewhere = "mongodb://user:pa55word@elsewhere.example:27017"
    fleet.start_worker(1, {"FRAMEWORK_TARGET_DB_CONNECTION_STRING": elsewhere})
    check = _checks(fleet)["worker"]
    assert not check["ok"]
    assert "its target is elsewhere.example:27017" in check["found"]
    assert "FRAMEWORK_TARGET_DB_CONNECTION_STRING" in check["remedy"]
    assert "pa55word" not in str(check)
    assert fleet.run("doctor", check=False).returncode == 1


@pytest.fixture
def reader(fleet: Fleet) -> Iterator[str]:
    """Yield a user who may read the test's database only; the driver logs in as that user."""
    database = fleet.mongo[fleet.database]
    database.command("createUser", "reader", pwd="pa55word", roles=["read"])
    yield f"reader:pa55word@{{}}/?authSource={fleet.database}"
    database.command("dropUser", "reader")


def test_rights_that_are_missing_are_named(fleet: Fleet, reader: str) -> None:
    host = fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"].split("//")[1].strip("/")
    for side in ("SOURCE", "TARGET"):
        fleet.environment[f"FRAMEWORK_{side}_DB_CONNECTION_STRING"] = (
            f"mongodb://{reader.format(host)}"
        )
        fleet.environment[f"FRAMEWORK_{side}_DB_NAME"] = fleet.database
    checks = _checks(fleet)
    assert checks["source rights"] == {
        "version": 1,
        "name": "source rights",
        "ok": True,
        "found": f"read on {fleet.database}",
        "remedy": "",
    }
    assert not checks["target rights"]["ok"]
    assert (
        "may not createCollection, createIndex, insert, update" in checks["target rights"]["found"]
    )
    assert (
        checks["target rights"]["remedy"] == f"Give the user the role readWrite on {fleet.database}"
    )
    assert "dataworks local" in checks["workers"]["remedy"]


def _lines(fleet: Fleet, code: int = 1) -> str:
    """Return what doctor prints, on one line, and check that it is not a traceback."""
    done = fleet.run("doctor", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


def test_without_redis_there_is_a_line_for_everything(fleet: Fleet) -> None:
    fleet.environment["FRAMEWORK_BROKER_URL"] = "redis://127.0.0.1:1/0"
    said = _lines(fleet)
    assert "FAIL redis: Redis at redis://127.0.0.1:1/0 cannot be used" in said
    assert "set FRAMEWORK_BROKER_URL" in said
    assert "FRAMEWORK_LEDGER_URL" not in said
    assert "OK target: " in said
    assert "FAIL workers: not checked, because their Redis cannot be used" in said
    assert said.count("Connection refused") == 1


def test_the_setting_that_was_set_is_the_one_that_is_named(fleet: Fleet) -> None:
    address = fleet.environment["FRAMEWORK_BROKER_URL"]
    wrong = address.replace("://", "://nobody:wrong@")
    fleet.environment["FRAMEWORK_LEDGER_URL"] = wrong
    assert "Check FRAMEWORK_LEDGER_URL" in _lines(fleet)
    del fleet.environment["FRAMEWORK_LEDGER_URL"]
    fleet.environment["FRAMEWORK_BROKER_URL"] = wrong
    said = _lines(fleet)
    assert "Check FRAMEWORK_BROKER_URL" in said
    assert "FRAMEWORK_LEDGER_URL" not in said
    assert "wrong" not in said


def test_a_full_redis_is_named_with_its_size(own_fleet: Fleet) -> None:
    own_fleet.redis.config_set("maxmemory", "1")
    said = _lines(own_fleet)
    assert "FAIL redis room: Redis is full: " in said
    assert "of 0 MB used" in said
    assert "FAIL workers: Redis is full and stores nothing" in said
    own_fleet.redis.config_set("maxmemory", "0")


def test_a_user_who_may_not_ask_is_no_failure(own_fleet: Fleet) -> None:
    own_fleet.redis.acl_setuser(
        "few", enabled=True, passwords=["+pw"], keys=["*"], channels=["*"], categories=["+@all"],
        commands=["-info", "-config"],
    )  # fmt: skip
    address = own_fleet.environment["FRAMEWORK_BROKER_URL"]
    own_fleet.environment["FRAMEWORK_BROKER_URL"] = address.replace("://", "://few:pw@")
    own_fleet.start_worker(1)
    said = _lines(own_fleet, 0)
    assert "OK redis persistence: not known: the Redis user may not run INFO" in said


def test_workers_that_nobody_sends_to_are_named(fleet: Fleet, worker_factory: Any) -> None:
    """In one line; once another takes from the right queue, they do not count as failures."""
    elsewhere = {"FRAMEWORK_TARGET_DB_CONNECTION_STRING": "mongodb://elsewhere.example"}
    worker_factory({**fleet.environment, **elsewhere}, 1, arguments=("-Q", "fast"))
    said = _lines(fleet)
    assert said.count("FAIL") == 1
    assert (
        "FAIL queue: no worker takes from dataworks, where runs are sent; they take from fast"
        in (said)
    )
    fleet.start_worker(1)
    said = _lines(fleet, 0)
    assert "1 process, takes from fast only" in said
    assert "OK queue: 1 worker takes from dataworks" in said


def test_a_worker_takes_from_the_queues_of_its_option(fleet: Fleet, worker_factory: Any) -> None:
    """As users of Celery expect: -Q wins over the worker's FRAMEWORK_QUEUE."""
    worker_factory(fleet.environment, 2, arguments=("-Q", "fast,slow"))
    place = ("--database", fleet.database, "--batch-size", 100)
    for queue in ("fast", "slow"):
        fleet.environment["FRAMEWORK_QUEUE"] = queue
        made = fleet.run_json("generate", "service_order", "--total", 1000, *place,
                              "--collection", queue, "--max-rate", 1000)  # fmt: skip
        assert (made["state"], made["documents"]) == ("complete", 1000)
        said = _lines(fleet, 0)
        assert f"OK queue: 1 worker takes from {queue}" in said
    assert not fleet.waiting(), "nothing was sent to the queue that nobody takes from"


def test_a_pool_in_which_runs_stand_still_is_named(fleet: Fleet, worker_factory: Any) -> None:
    worker_factory(
        fleet.environment, 2, "tests.support.any_pool_app", arguments=("--pool", "threads")
    )
    check = _checks(fleet)["worker pool"]
    assert not check["ok"]
    assert "uses the pool" in check["found"]
    assert "--pool prefork" in check["remedy"]


def test_two_workers_of_one_name_are_named(fleet: Fleet) -> None:
    """A worker says that it is ready by its name, so the second one is waited for by its count."""
    environment = {**os.environ, **fleet.environment}
    options = ["worker", "--pool", "solo", "--hostname", "same@host"]
    options += ["--without-mingle", "--without-gossip"]
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", application, *options],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for application in ("dataworks_tasks", "tests.support.other_faker_app")
    ]
    try:
        said = wait_until(
            lambda: found if "worker names" in (found := _lines(fleet)) else None,
            "both workers answer",
        )
        assert "FAIL worker names: 2 workers are called same@host" in said
        assert "faker 1.0.0 there" in said
        assert ", version " in said
        assert "Warning" not in said
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_without_a_database_name_the_rights_of_every_database_are_looked_at(
    fleet: Fleet, reader: str
) -> None:
    host = fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"].split("//")[1].strip("/")
    fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"] = f"mongodb://{reader.format(host)}"
    assert _checks(fleet)["source rights"]["found"] == f"read on {fleet.database}"
    del fleet.environment["FRAMEWORK_TARGET_DB_NAME"]
    fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"] = f"mongodb://{reader.format(host)}"
    assert "the user has readWrite on no database" in _checks(fleet)["target rights"]["found"]
