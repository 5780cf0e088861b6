"""Clients of DataWorks' own on a simulated Cosmos DB account, with the shared mongod behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_client import create_database_client
from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig

StartSimulator = Callable[..., CosmosSimulator]
Connect = Callable[..., BaseDatabaseClient]


@pytest.fixture
def start_simulator(mongodb_url: str) -> Iterator[StartSimulator]:
    """Start a simulator with these settings; it is stopped with the test."""
    with ExitStack() as stack:

        def start(**settings: Any) -> CosmosSimulator:
            return stack.enter_context(CosmosSimulator(SimulatorConfig(mongodb_url, **settings)))

        yield start


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Yield a client for a connection string, reached and ready; closed with the test."""
    with ExitStack() as stack:

        def open_client(url: str, **settings: Any) -> BaseDatabaseClient:
            config = DatabaseConfig.model_validate({"connection_string": url, **settings})
            client = stack.enter_context(create_database_client(config))
            client.warm_up()
            return client

        yield open_client
