"""A simulator for each test, in front of the shared mongod; ``mongo_client`` looks behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from pymongo import MongoClient

from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig

Client = MongoClient[dict[str, Any]]


@pytest.fixture
def start_simulator(mongodb_url: str) -> Iterator[Callable[..., CosmosSimulator]]:
    """Start a simulator with these settings; it is stopped with the test."""
    with ExitStack() as stack:

        def start(**settings: Any) -> CosmosSimulator:
            return stack.enter_context(CosmosSimulator(SimulatorConfig(mongodb_url, **settings)))

        yield start


@pytest.fixture
def connect() -> Iterator[Callable[[CosmosSimulator], Client]]:
    """Yield a PyMongo client of a simulator; closed with the test."""
    with ExitStack() as stack:

        def open_client(simulator: CosmosSimulator) -> Client:
            client: Client = MongoClient(simulator.url, serverSelectionTimeoutMS=5000)
            return stack.enter_context(client)

        yield open_client
