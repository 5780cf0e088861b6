"""Threads that ask for the driver's client at the same time get one client, and one is closed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep
from typing import Any

import pytest
from pydantic import SecretStr

from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store import client as client_module
from dataworks_tasks.store.mongodb import MongoDBClient

THREADS = 8


class _Driver:
    def __init__(self, opened: list[_Driver]) -> None:
        sleep(0.01)  # a real one reads certificates and starts threads
        opened.append(self)
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("name", "opener"),
    [("mongo", "open_driver"), ("without_timeout", "open_driver_without_timeout")],
)
def test_one_client_for_all_threads(
    monkeypatch: pytest.MonkeyPatch, name: str, opener: str
) -> None:
    opened: list[_Driver] = []
    monkeypatch.setattr(client_module, opener, lambda *_: _Driver(opened))
    config = DatabaseConfig(connection_string=SecretStr("mongodb://localhost"))
    together = Barrier(THREADS)

    def ask(client: MongoDBClient) -> Any:
        together.wait()
        return getattr(client, name)

    with MongoDBClient(config) as client, ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(ask, [client] * THREADS))
    assert len(opened) == 1
    assert all(one is opened[0] for one in found)
    assert opened[0].closed == 1
