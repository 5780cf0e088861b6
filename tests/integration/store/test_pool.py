"""The pool's settings have their effect, counted at a real server."""

from __future__ import annotations

import uuid
from typing import Any

import pymongo
import pytest

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.create_client import create_database_client
from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig
from tests.fleet import wait_until

Mongo = pymongo.MongoClient[dict[str, Any]]


MONITORS = 2
"""One waits for the server's next hello, and one measures the round trip."""


def config(url: str, **settings: Any) -> DatabaseConfig:
    return DatabaseConfig.model_validate({"connection_string": url, **settings})


@pytest.fixture
def marked(mongodb_url: str) -> tuple[str, str]:
    """Return a connection string whose connections carry a mark, and the mark."""
    mark = f"pool-{uuid.uuid4().hex[:8]}"
    return f"{mongodb_url}?appName={mark}", mark


def connections(mongo: Mongo, mark: str) -> int:
    """Count the connections that the client has open, including those of its monitors."""
    pipeline: list[dict[str, Any]] = [
        {"$currentOp": {"allUsers": True, "idleConnections": True}},
        {"$match": {"appName": mark}},
    ]
    return sum(1 for _ in mongo.admin.aggregate(pipeline))


def test_warming_up_opens_the_connections(marked: tuple[str, str], mongo_client: Mongo) -> None:
    url, mark = marked
    with create_database_client(config(url)) as cold:
        cold.warm_up()
        wait_until(lambda: connections(mongo_client, mark) == MONITORS + 1, "one is open")
    wait_until(lambda: connections(mongo_client, mark) == 0, "the connections are closed")
    with create_database_client(config(url, warmup_connections=9, max_pool_size=4)) as warm:
        warm.warm_up()
        wait_until(lambda: connections(mongo_client, mark) == MONITORS + 9, "nine are open")


def test_idle_connections_are_recycled(marked: tuple[str, str], mongo_client: Mongo) -> None:
    url, mark = marked
    idle = config(url, warmup_connections=6, max_idle_time_ms=1000)
    with create_database_client(idle) as client:
        client.warm_up()
        wait_until(lambda: connections(mongo_client, mark) == MONITORS + 6, "six are open")
        wait_until(lambda: connections(mongo_client, mark) == MONITORS, "they are closed", 25)


def test_the_smallest_pool_is_kept_open(marked: tuple[str, str], mongo_client: Mongo) -> None:
    url, mark = marked
    with create_database_client(config(url, min_pool_size=5)) as client:
        client.warm_up()
        wait_until(lambda: connections(mongo_client, mark) >= 5, "five are open", 15)


@pytest.mark.skipif(pymongo.version == "4.10.1", reason="this driver speaks to server version 3.6")
def test_a_server_that_is_too_old_is_named(mongodb_url: str) -> None:
    with CosmosSimulator(SimulatorConfig(mongodb_url, server_version="3.6")) as simulator:
        client = create_database_client(config(simulator.url))
        with client, pytest.raises(SettingsError, match=r"MongoDB 3\.6") as caught:
            client.server_info()
    assert "dataworks[cosmos-legacy]" in caught.value.remedy


def test_an_account_found_by_its_hello_must_not_retry_writes(mongodb_url: str) -> None:
    with CosmosSimulator(SimulatorConfig(mongodb_url)) as simulator:
        url = simulator.url.replace("&retrywrites=false", "")
        with (
            create_database_client(config(url)) as client,
            pytest.raises(SettingsError, match="retrywrites=false"),
        ):
            client.server_info()
