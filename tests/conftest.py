"""Real servers for the tests: started when a test first asks, gone when the session ends.

A server that cannot run here skips the test, and fails it when ``CI=true``. A test that stops or
kills servers takes ``own_services``: the others share one Valkey and one mongod.
"""

from __future__ import annotations

import gc
import itertools
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from signal import SIGKILL
from typing import Any

import hypothesis
import pymongo
import pytest
import redis

from dataworks_tasks.errors import UsageError
from producer.local.binaries import MONGOD, VALKEY, ServerBinary, ServerProgram, find_binary
from producer.local.celery_services import APPLICATION, CeleryWorker
from producer.local.mongod import Mongod
from producer.local.services import LocalServices, RunningService
from producer.local.valkey import Valkey
from tests.fleet import Fleet
from tests.support.mongod_variant import MongodVariant
from tests.support.warm_supervisor import WarmServices

# How fast examples are made says something of the machine, not of the code.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    # A mutation run takes a test many times.
    max_examples=20 if "MUTANT_UNDER_TEST" in os.environ else 100,
)
hypothesis.settings.load_profile("any machine")

WorkerFactory = Callable[..., RunningService]

_LINES_ARE_COUNTED = "COVERAGE_PROCESS_CONFIG" in os.environ
"""A process that is killed does not say which lines it ran."""
_WITHOUT_SERVERS = ("tests/contract/", "tests/unit/")
_SLOWEST_FIRST = ("tests/faults/", "tests/integration/", "tests/contract/", "tests/unit/")

# Valkey's databases but the first; a test has one for itself.
_database_numbers = itertools.cycle(range(1, 16))
_worker_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest: short files at the end leave no process of xdist without work."""
    items.sort(key=lambda item: [item.nodeid.startswith(folder) for folder in _SLOWEST_FIRST][::-1])
    if all(item.nodeid.startswith(_WITHOUT_SERVERS) for item in items):
        # Beside tests with servers, what those left open would be found in one of these.
        for item in items:
            item.add_marker(pytest.mark.filterwarnings("error::ResourceWarning"))


def pytest_collection_finish() -> None:
    """Let the garbage collector skip what collecting made: it stays to the end."""
    gc.collect()
    gc.freeze()


def _binary(program: ServerProgram) -> ServerBinary:
    try:
        return find_binary(program)
    except UsageError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def local_services() -> Iterator[LocalServices]:
    """Yield the services that all tests share, in a temporary folder."""
    with WarmServices.in_temporary_folder() as services:
        yield services


@pytest.fixture(scope="session")
def stores_available() -> None:
    """For tests that start Valkey and mongod themselves."""
    _binary(VALKEY)
    _binary(MONGOD)


@pytest.fixture
def own_services(stores_available: None) -> Iterator[LocalServices]:
    """Services of one test only, to stop, kill and restart; it starts what it needs."""
    with WarmServices.in_temporary_folder() as services:
        yield services


@pytest.fixture(scope="session")
def valkey_server(local_services: LocalServices) -> RunningService:
    """Return the Valkey that all tests share."""
    return local_services.start(Valkey(_binary(VALKEY)))[0]


@pytest.fixture(scope="session")
def mongod_server(local_services: LocalServices) -> RunningService:
    """Return the standalone mongod that all tests share."""
    return local_services.start(Mongod(_binary(MONGOD)))[0]


@pytest.fixture(scope="session")
def mongod_replica_set(local_services: LocalServices) -> RunningService:
    """Return a replica set of one, with transactions and change streams, that all tests share."""
    mongod = Mongod(_binary(MONGOD), name="mongod-replica-set", replica_set=True)
    return local_services.start(mongod)[0]


@pytest.fixture
def redis_url(valkey_server: RunningService) -> Iterator[str]:
    """Yield an empty Redis database of this test's own, good for a broker and a ledger."""
    url = str(valkey_server.url).removesuffix("/0") + f"/{next(_database_numbers)}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """Yield a client of this test's own Redis database."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def mongodb_url(mongod_server: RunningService) -> str:
    """Return the address of the shared mongod."""
    return str(mongod_server.url)


@pytest.fixture(scope="session")
def replica_set_url(mongod_replica_set: RunningService) -> str:
    """Return the address of the shared replica set."""
    return str(mongod_replica_set.url)


@pytest.fixture(scope="session")
def other_replica_set_url(local_services: LocalServices, stores_available: None) -> str:
    """Return a second replica set of one: a source that may be blocked while its target is not."""
    mongod = Mongod(_binary(MONGOD), name="mongod-other-set", replica_set=True)
    return str(local_services.start(mongod)[0].url)


@pytest.fixture(scope="session")
def failpoint_url(local_services: LocalServices, stores_available: None) -> str:
    """Return the address of a mongod that all tests share and that fails when it is asked to."""
    variant = MongodVariant(("--setParameter", "enableTestCommands=1"), "mongod-with-failpoints")
    return str(local_services.start(variant)[0].url)


@pytest.fixture(scope="session")
def mongo_client(mongodb_url: str) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    """Yield a client of the shared mongod."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_url) as client:
        yield client


@pytest.fixture
def database_name(mongo_client: pymongo.MongoClient[dict[str, Any]]) -> Iterator[str]:
    """Yield a database of this test's own on the shared mongod, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    mongo_client.drop_database(name)


@pytest.fixture
def run_prefix() -> str:
    """Return a unique beginning for run ids and keys."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def worker_factory(local_services: LocalServices) -> Iterator[WorkerFactory]:
    """Start Celery workers that consume when it returns; they are killed after the test.

    ``worker_factory(environment, concurrency=1, application="dataworks_tasks", arguments=())``
    """
    started: list[str] = []

    def start(
        environment: Mapping[str, str],
        concurrency: int = 1,
        application: str = APPLICATION,
        arguments: tuple[str, ...] = (),
    ) -> RunningService:
        name = f"worker-{next(_worker_numbers)}"
        started.append(name)
        worker = CeleryWorker(environment, name, concurrency, application, arguments)
        return local_services.start(worker)[0]

    yield start
    for name in set(started) & set(local_services.pids()):
        local_services.stop(name, None if _LINES_ARE_COUNTED else SIGKILL)


def _fleet_environment(redis_url: str, mongodb_url: str, database: str) -> dict[str, str]:
    return {
        "FRAMEWORK_BROKER_URL": redis_url,
        "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": mongodb_url,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": mongodb_url,
        "FRAMEWORK_TARGET_DB_NAME": database,
        "FRAMEWORK_STALL_SECONDS": "2",
    }


@pytest.fixture
def fleet(
    redis_url: str,
    redis_client: redis.Redis,
    mongodb_url: str,
    database_name: str,
    mongo_client: pymongo.MongoClient[dict[str, Any]],
    worker_factory: WorkerFactory,
    tmp_path: Path,
) -> Iterator[Fleet]:
    """Yield a broker, a target database and a folder of this test's own; it starts its workers."""
    environment = _fleet_environment(redis_url, mongodb_url, database_name)

    def start_worker(
        concurrency: int = 1,
        environment_too: Mapping[str, str] | None = None,
        application: str = APPLICATION,
        arguments: tuple[str, ...] = (),
    ) -> RunningService:
        settings = {**environment, **(environment_too or {})}
        return worker_factory(settings, concurrency, application, arguments)

    made = Fleet(environment, redis_client, mongo_client, database_name, tmp_path, start_worker)
    yield made
    made.close()


@pytest.fixture
def own_fleet(own_services: LocalServices, tmp_path: Path) -> Iterator[Fleet]:
    """Yield a fleet on servers of this test's own, to be killed."""
    own_services.start_stores()
    url = own_services.mongodb_url
    environment = _fleet_environment(own_services.redis_url, url, "shop")

    def start_worker(concurrency: int = 1) -> RunningService:
        return own_services.start_worker(environment, concurrency)

    with (
        pymongo.MongoClient[dict[str, Any]](url) as mongo,
        redis.Redis.from_url(own_services.redis_url) as client,
    ):
        made = Fleet(environment, client, mongo, "shop", tmp_path, start_worker)
        yield made
        made.close()
