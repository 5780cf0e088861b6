"""``dataworks doctor`` on real servers and workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fleet import Fleet


def _checks(fleet: Fleet) -> dict[str, dict[str, Any]]:
    lines = fleet.run("doctor", "--json", check=False).stdout.splitlines()
    return {check["name"]: check for check in map(json.loads, lines)}


def test_a_fleet_that_fits_is_fine(fleet: Fleet) -> None:
    fleet.start_worker(1)
    checks = _checks(fleet)
    assert all(check["ok"] for check in checks.values()), checks
    assert checks["worker"]["found"].endswith("1 processes, version 0.1.0")
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
    """A user who may read the test's database only; the driver logs in as that."""
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
