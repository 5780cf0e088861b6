"""Services that end are started again; on a full disk, when it has room."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dataworks_tasks.errors import StoreUnavailable
from producer.local.keep_running import Restarts
from producer.local.services import LocalServices
from producer.local.supervisor_link import ServiceExit

FULL = "The disk of here is full, so nothing more is stored."
ROOM = "The disk of here has room again."


class Services:
    """Local services whose exits and whose disk are scripted."""

    folder = Path("here")
    is_open = True

    def __init__(self) -> None:
        self.exits: list[str] = []
        self.started: list[str] = []
        self.fails_with_free: int | None = None
        self.free = 50_000_000

    def wait(self, _seconds: float) -> ServiceExit | None:
        return ServiceExit(self.exits.pop(0), 1, 14) if self.exits else None

    def restart(self, name: str) -> None:
        if self.fails_with_free is not None:
            self.free, self.fails_with_free = self.fails_with_free, None
            raise StoreUnavailable(f"{name} ended before it was ready")
        self.started.append(name)

    def log(self, name: str) -> Path:
        return Path(name)


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    made = Services()
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=made.free))
    return made


def _restarts(services: Services, said: list[str]) -> Restarts:
    return Restarts(cast("LocalServices", services), said.append)


def _begins(said: list[str]) -> list[str]:
    return [line.partition(" Free space")[0] for line in said]


def test_a_disk_that_fills_is_named_once_and_when_it_has_room(services: Services) -> None:
    said: list[str] = []
    restarts = _restarts(services, said)
    for free in (50_000_000, 900_000, 0, 5_000_000, 20_000_000, 20_000_000):
        services.free = free
        restarts.wait()
    assert _begins(said) == [FULL, ROOM]
    assert "continues by itself" in said[0]


@pytest.mark.parametrize("free", [0, 5_000_000])
def test_what_ends_on_a_full_disk_starts_when_there_is_room(services: Services, free: int) -> None:
    """However often: a server that cannot write ends each time it is started."""
    said: list[str] = []
    restarts = _restarts(services, said)
    services.free, services.exits = free, ["mongod", "worker"]
    for _ in range(20):
        restarts.wait()
    assert services.started == []
    services.free = 20_000_000
    restarts.wait()
    assert services.started == ["mongod", "worker"]
    assert _begins(said) == [
        FULL,
        "mongod ended with 14; it waits for room on the disk",
        "worker ended with 14; it waits for room on the disk",
        ROOM,
        "mongod is running again",
        "worker is running again",
    ]


@pytest.mark.parametrize("waited", [False, True])
def test_a_disk_that_fills_while_a_service_starts(services: Services, waited: bool) -> None:
    said: list[str] = []
    restarts = _restarts(services, said)
    services.exits, services.free = ["mongod"], 0 if waited else 50_000_000
    if waited:
        restarts.wait()
        services.free = 50_000_000
    services.fails_with_free = 0
    restarts.wait()
    assert services.started == []
    assert _begins(said)[-1] == FULL
    services.free = 50_000_000
    restarts.wait()
    assert services.started == ["mongod"]


def test_a_service_that_does_not_start_with_room_is_an_error(services: Services) -> None:
    services.exits, services.fails_with_free = ["mongod"], 50_000_000
    with pytest.raises(StoreUnavailable, match="before it was ready"):
        _restarts(services, []).wait()


def test_a_service_that_keeps_ending_is_an_error(services: Services) -> None:
    said: list[Any] = []
    restarts = _restarts(services, said)
    services.exits = ["worker"] * 7
    for _ in range(5):
        restarts.wait()
    with pytest.raises(StoreUnavailable, match=r"worker ended 6 times within 20 s\. See worker"):
        restarts.wait()
    assert services.started == ["worker"] * 5
