"""Writing through throttling, lost answers and refusals: the exact set of documents, always."""

from __future__ import annotations

import threading
from typing import Any

import bson
import pytest
from pymongo import MongoClient

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import UsageError
from dataworks_tasks.generate.aggregators.aggregate import aggregate
from dataworks_tasks.generate.aggregators.aggregation import Aggregation
from dataworks_tasks.runs.choices import OnConflict
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.settings.database import DatabaseType
from dataworks_tasks.store.bulk_write import WritePolicy, WriteResult, write_batch
from dataworks_tasks.store.create_collection import (
    CollectionLayout,
    Throughput,
    create_collection,
)
from producer.cosmos_simulator import FaultDials
from producer.estimate.migration_estimate import estimate_migration
from producer.sampling.source_sample import sample_collection
from tests.integration.cosmos.conftest import Connect, StartSimulator

Mongo = MongoClient[dict[str, Any]]
QUICK = WritePolicy(backoff=Backoff(base_seconds=0.001, cap_seconds=0.05, tries=20))


def documents(count: int, first: int = 0, **fields: Any) -> EncodedBatch:
    return EncodedBatch.of(
        bson.encode({"_id": number, "shop": number % 7, "pad": "x" * 900, **fields})
        for number in range(first, first + count)
    )


def ids_in(mongo: Mongo, namespace: Namespace) -> list[int]:
    found = mongo[namespace.database][namespace.collection].find({}, {"_id": 1})
    return sorted(document["_id"] for document in found)


def test_a_simulator_is_known_by_its_hello(
    start_simulator: StartSimulator, connect: Connect
) -> None:
    client = connect(start_simulator().url)
    assert client.db_type is DatabaseType.COSMOS_DB
    limits = client.capabilities
    assert (limits.max_documents_per_write, limits.max_bytes_per_write) == (1000, 4_177_920)
    assert limits.request_charge
    assert not limits.server_sessions
    assert not limits.sample


def test_plain_mongodb_stays_plain(mongodb_url: str, connect: Connect) -> None:
    client = connect(mongodb_url)
    assert client.db_type is DatabaseType.MONGODB
    assert client.capabilities.max_documents_per_write == 10_000
    assert client.capabilities.server_sessions


@pytest.mark.parametrize(
    "faults",
    [
        {"throttle_share": 0.3},
        {"throttle_share": 0.3, "omit_retry_after_share": 1.0},
        {"throttle_share": 0.3, "legacy_throttle_share": 1.0, "omit_retry_after_share": 0.5},
        {"drop_before_share": 0.1, "drop_after_share": 0.1},
        {"timeout_after_write_share": 0.2, "unavailable_share": 0.1},
        {
            "throttle_share": 0.1,
            "drop_before_share": 0.05,
            "drop_after_share": 0.05,
            "timeout_after_write_share": 0.05,
            "unavailable_share": 0.05,
        },
    ],
    ids=["throttled", "without-delay", "legacy", "reset", "gave-up", "everything"],
)
def test_every_document_is_written_once_whatever_happens(
    start_simulator: StartSimulator,
    connect: Connect,
    mongo_client: Mongo,
    database_name: str,
    faults: dict[str, float],
) -> None:
    simulator = start_simulator(faults=FaultDials(seed=3, **faults))
    client = connect(simulator.url)
    namespace = Namespace(database_name, "orders")
    result = WriteResult()
    for first in range(0, 3000, 500):
        one = write_batch(client, namespace, documents(500, first), QUICK)
        result.written += one.written + one.already_there
        result.throttled_requests += one.throttled_requests
        result.retried_requests += one.retried_requests
        assert not one.failures
        assert not one.pending
    assert ids_in(mongo_client, namespace) == list(range(3000))
    assert result.written == 3000
    assert result.throttled_requests + result.retried_requests > 0


def test_a_small_budget_is_waited_for_and_writes_get_smaller(
    start_simulator: StartSimulator, connect: Connect, mongo_client: Mongo, database_name: str
) -> None:
    simulator = start_simulator(ru_per_second=1000.0)
    client = connect(simulator.url)
    namespace = Namespace(database_name, "orders")
    result = write_batch(client, namespace, documents(500), QUICK)
    assert (result.written, len(result.failures)) == (500, 0)
    assert result.throttled_requests > 0
    assert result.seconds_waited > 0.5
    assert client.write_size.at_most(1000) < 500
    assert ids_in(mongo_client, namespace) == list(range(500))


def test_request_units_are_measured_on_the_same_connection(
    start_simulator: StartSimulator, connect: Connect, database_name: str
) -> None:
    simulator = start_simulator()
    client = connect(simulator.url)
    namespace = Namespace(database_name, "orders")
    results: list[WriteResult] = []

    def write(first: int) -> None:
        for part in range(5):
            batch = documents(100, first + 100 * part)
            results.append(write_batch(client, namespace, batch, QUICK))

    threads = [threading.Thread(target=write, args=(10_000 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    measured = sum(result.request_units for result in results)
    estimated = sum(result.request_units_estimated for result in results)
    total = simulator.statistics().total_ru
    assert measured > 0
    assert measured % 550 == pytest.approx(0.0, abs=0.01)  # whole writes, each once
    assert measured + estimated == pytest.approx(total, rel=0.02)


def test_a_duplicate_is_compared_with_its_shard_key(
    start_simulator: StartSimulator, connect: Connect, mongo_client: Mongo, database_name: str
) -> None:
    client = connect(start_simulator().url)
    namespace = Namespace(database_name, "orders")
    layout = CollectionLayout("place.shop", Throughput(4000))
    assert create_collection(client, namespace, layout)
    assert not create_collection(client, namespace, layout)
    with pytest.raises(UsageError, match="already exists with the shard key"):
        create_collection(client, namespace, CollectionLayout("other"))

    def batch(value: str) -> EncodedBatch:
        return EncodedBatch.of(
            bson.encode({"_id": number, "place": {"shop": number % 3}, "v": value})
            for number in range(20)
        )

    assert write_batch(client, namespace, batch("a"), QUICK).written == 20
    assert write_batch(client, namespace, batch("a"), QUICK).already_there == 20
    assert len(write_batch(client, namespace, batch("b"), QUICK).failures) == 20
    replacing = WritePolicy(on_conflict=OnConflict.REPLACE)
    assert write_batch(client, namespace, batch("b"), replacing).replaced == 20
    assert mongo_client[database_name]["orders"].count_documents({"v": "b"}) == 20


def test_what_cosmos_db_never_takes_is_not_sent(
    start_simulator: StartSimulator, connect: Connect, mongo_client: Mongo, database_name: str
) -> None:
    simulator = start_simulator()
    client = connect(simulator.url)
    namespace = Namespace(database_name, "orders")
    create_collection(client, namespace, CollectionLayout("shop", Throughput(40_000, True)))
    refused: dict[str, dict[str, Any]] = {
        "no shop": {"_id": 1},
        "long id": {"_id": "x" * 1024, "shop": 1},
        "long json": {"_id": 3, "shop": 1, "pad": "\x01" * 400_000},
    }
    taken: list[dict[str, Any]] = [
        {"_id": "x" * 1023, "shop": 1},
        {"_id": 5, "shop": None},
        {"shop": 2, "_id": 6},
    ]
    batch = EncodedBatch.of(bson.encode(one) for one in [*refused.values(), *taken])
    result = write_batch(client, namespace, batch, QUICK)
    assert result.written == 3
    reasons = [failure.reason for failure in result.failures]
    assert [failure.position for failure in result.failures] == [0, 1, 2]
    assert "has no shop" in reasons[0]
    assert "1,024 bytes; the server accepts 1,023" in reasons[1]
    assert "as JSON; the server accepts 2,097,152" in reasons[2]
    assert simulator.statistics().requests == 1


def test_fields_from_other_collections_are_written_through_throttling(
    start_simulator: StartSimulator,
    connect: Connect,
    mongo_client: Mongo,
    database_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dataworks_tasks.generate.aggregators.aggregate.DOCUMENTS_PER_UPDATE", 100)
    own, other = Namespace(database_name, "orders"), Namespace(database_name, "lines")
    database = mongo_client[database_name]
    database.orders.insert_many({"_id": number, "key": number % 5} for number in range(300))
    database.lines.insert_many({"key": number % 4} for number in range(100))
    faults = FaultDials(throttle_share=0.1, cursor_cut_share=0.3, drop_before_share=0.1, seed=2)
    simulator = start_simulator(ru_per_second=1500.0, faults=faults)
    counted = Aggregation(own, "lines", "count", other, {"key": "$$key"})
    aggregate(connect(simulator.url), counted)
    expected = {0: 25, 1: 25, 2: 25, 3: 25, 4: 0}
    assert all(order["lines"] == expected[order["key"]] for order in database.orders.find())
    assert simulator.statistics().throttled_requests > 0


def test_reads_wait_for_the_budget(
    start_simulator: StartSimulator, connect: Connect, mongo_client: Mongo, database_name: str
) -> None:
    namespace = Namespace(database_name, "orders")
    mongo_client[database_name]["orders"].insert_many({"_id": number} for number in range(50))
    faults = FaultDials(throttle_share=0.5, drop_before_share=0.1, seed=1)
    client = connect(start_simulator(faults=faults).url)
    for _ in range(5):
        assert len(client.find_all(namespace, {})) == 50
        assert client.has_documents(namespace)
        assert client.count(namespace) == 50


def test_a_cut_cursor_ends_neither_a_sample_nor_an_estimate(
    start_simulator: StartSimulator, connect: Connect, mongo_client: Mongo, database_name: str
) -> None:
    """As `--dry-run` and the checks before a run read: every further page is refused at times."""
    namespace = Namespace(database_name, "orders")
    orders = mongo_client[database_name]["orders"]
    orders.insert_many({"_id": number, "text": "x" * 60_000} for number in range(120))
    faults = FaultDials(cursor_cut_share=0.5, drop_before_share=0.05, seed=4)
    client = connect(start_simulator(faults=faults).url)
    pair = NamespacePair(source=namespace, target=Namespace(database_name, "copy"))
    job = MigrationJob(namespaces=(pair,))
    target = connect(start_simulator().url)
    for _ in range(2):
        assert len(sample_collection(client, namespace).documents) >= 100
        (found,) = estimate_migration(client, target, job, 100).namespaces
        assert found.documents == 120
        assert found.read_per_second > 0
