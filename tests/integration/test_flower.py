"""Flower on a real run: what its pages, its API and a browser show of it."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from producer.local.celery_services import Flower
from producer.local.services import LocalServices
from tests.fleet import Fleet, wait_until
from tests.support.browser import chromium

MARK = "pa55word-marker"
_EXPECTED = Counter({"dataworks.generate_range": 4, "dataworks.finish_run": 1})
RANGES = [f"[{start}:{start + 500})" for start in range(0, 2000, 500)]


@pytest.fixture
def flower(fleet: Fleet, local_services: LocalServices) -> Iterator[str]:
    """Yield the address of a Flower that saw a run of four ranges."""
    for side in ("SOURCE", "TARGET"):
        fleet.environment[f"FRAMEWORK_{side}_DB_CONNECTION_STRING"] += f"?appname={MARK}"
    environment = {**fleet.environment, "FLOWER_UNAUTHENTICATED_API": "true"}
    service = local_services.start(Flower(environment))[0]
    assert service.url is not None
    fleet.start_worker(1)
    wait_until(lambda: _json(f"{service.url}api/workers?refresh=true"), "Flower sees the worker")
    where = ("--database", fleet.database, "--collection", "orders", "--batch-size", 500)
    fleet.run_json("generate", "service_order", "--total", 2000, *where)
    wait_until(lambda: _ended(service.url or "") == _EXPECTED, "Flower saw every task end")
    yield service.url
    local_services.stop("flower")


def _read(url: str) -> str:
    with urlopen(url, timeout=20) as answer:  # noqa: S310 - of this machine
        text: str = answer.read().decode()
        return text


def _json(url: str) -> Any:
    return json.loads(_read(url))


def _ended(url: str) -> Counter[str]:
    """How many tasks of each kind have ended, without the driver's, which come by the clock."""
    names = Counter(str(task["name"]) for task in _tasks(url))
    del names["dataworks.drive_run"]
    return names


def _tasks(url: str) -> list[dict[str, Any]]:
    tasks: dict[str, dict[str, Any]] = _json(f"{url}api/tasks")
    return [task for task in tasks.values() if task["state"] == "SUCCESS"]


def test_pages_and_api_show_run_range_and_collection(fleet: Fleet, flower: str) -> None:
    run_id = fleet.newest_run()
    ranges = [task for task in _tasks(flower) if task["name"] == "dataworks.generate_range"]
    assert sorted(task["args"] for task in ranges) == sorted(
        f"{fleet.database}.orders{shown}" for shown in RANGES
    )
    assert {task["kwargs"] for task in _tasks(flower)} == {repr({"run": run_id})}
    pages = [_read(f"{flower}{page}") for page in ("", "tasks", "broker", "metrics")]
    assert 'data-column="args"' in pages[1]
    assert "dataworks" in pages[2]
    assert 'task="dataworks.generate_range"' in pages[3]
    details = _read(f"{flower}task/{ranges[0]['uuid']}")
    assert f"{fleet.database}.orders[" in details
    assert MARK not in "".join([*pages, details, json.dumps(_tasks(flower))])


def test_a_browser_shows_the_ranges(fleet: Fleet, flower: str, tmp_path: Path) -> None:
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    page = subprocess.run(
        [chromium(), *options, profile, "--virtual-time-budget=10000", "--dump-dom",
         f"{flower}tasks"],
        capture_output=True, text=True, timeout=100, check=True,
    ).stdout  # fmt: skip
    rows = [re.sub(r"<[^>]+>", " ", row) for row in re.findall(r"<tr.*?</tr>", page, re.S)]
    for shown in RANGES:
        (row,) = [row for row in rows if f"{fleet.database}.orders{shown}" in row]
        assert "SUCCESS" in row
        assert fleet.newest_run() in row
