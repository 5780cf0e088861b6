"""The simulator as a local service, and what the dialect costs against plain MongoDB."""

from __future__ import annotations

import time
from collections.abc import Iterator

import bson
import pytest

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseType
from dataworks_tasks.store.bulk_write import WritePolicy, write_batch
from dataworks_tasks.store.client import BaseDatabaseClient
from producer.local.cosmos_service import CosmosService
from producer.local.services import LocalServices
from tests.integration.cosmos.conftest import Connect

BATCHES, ATTEMPTS = 24, 4


@pytest.fixture
def account(local_services: LocalServices, mongodb_url: str) -> Iterator[str]:
    """Yield the address of an account without a limit, in a process of its own."""
    service = CosmosService(mongodb_url, server_version="6.0")
    yield str(local_services.start(service)[0].url)
    local_services.stop(service.name)


def test_it_runs_beside_the_other_services(account: str, connect: Connect) -> None:
    client = connect(account)
    assert client.db_type is DatabaseType.COSMOS_DB
    assert client.server_info().version.startswith("6.0")


def test_the_dialect_costs_at_most_fifteen_percent(
    account: str, connect: Connect, database_name: str
) -> None:
    plain = connect(account, db_type="mongodb"), Namespace(database_name, "plain")
    cosmos = connect(account, db_type="cosmos-db"), Namespace(database_name, "cosmos")
    ratios: list[float] = []
    while len(ratios) < ATTEMPTS and min(ratios, default=9.0) > 1.15:
        seconds: tuple[list[float], list[float]] = [], []
        for _ in range(BATCHES):
            for (client, namespace), times in zip((plain, cosmos), seconds, strict=True):
                times.append(write(client, namespace))
        ratios.append(sum(sorted(seconds[1])[:12]) / sum(sorted(seconds[0])[:12]))
    assert min(ratios) <= 1.15


def write(client: BaseDatabaseClient, namespace: Namespace) -> float:
    """Write 1,000 documents of 1 KB; the seconds it took."""
    documents = ({"_id": bson.ObjectId(), "pad": "x" * 980} for _ in range(1000))
    batch = EncodedBatch.of(map(bson.encode, documents))
    started = time.perf_counter()
    assert write_batch(client, namespace, batch, WritePolicy("1")).written == 1000
    return time.perf_counter() - started
