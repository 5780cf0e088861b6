"""A replica set of three that loses its majority: nothing counts before a majority has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pymongo
import pytest
import redis
from bson.raw_bson import RawBSONDocument
from pydantic import SecretStr
from pymongo.write_concern import WriteConcern

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.generate.generation_work import DOCUMENTS_PER_COMPARISON
from dataworks_tasks.generate.templates.load_template import document_source, load_template
from dataworks_tasks.migrate.zero_timestamps import write_one_by_one
from dataworks_tasks.runs.choices import OnConflict
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store import client as client_module
from dataworks_tasks.store import replace_document as replace_module
from dataworks_tasks.store.bulk_write import WritePolicy, write_batch
from dataworks_tasks.store.create_client import create_database_client
from dataworks_tasks.store.replace_document import replace_document
from producer.local.services import LocalServices, RunningService
from tests.fleet import Fleet, wait_until
from tests.support.exact import SEED, check_exact, expected_documents, generate_arguments
from tests.support.replica_set import ReplicaSet

PLACE = Namespace("shop", "orders")


def test_what_is_there_already_counts_when_a_majority_has_it(
    own_services: LocalServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that timed out meets its own documents, which one node has: that is not enough."""
    for module in (client_module, replace_module):
        monkeypatch.setattr(module, "retry_transient", lambda ask, *_: ask())
    servers = ReplicaSet(own_services, election_milliseconds=60_000)
    others = [name for name in servers.names if name != servers.primary()]
    batch = EncodedBatch.of(expected_documents(3))
    changed = [document.replace(b"status", b"statuS") for document in batch.documents()]
    policy = WritePolicy(on_conflict=OnConflict.REPLACE, backoff=Backoff(0.01, tries=2))
    config = DatabaseConfig(connection_string=SecretStr(servers.url))
    with create_database_client(config) as client:
        assert write_batch(client, PLACE, batch.slice(0, 1), policy).written == 1
        servers.suspend(others)
        monkeypatch.setattr(client_module, "WRITE_CONCERN_MILLISECONDS", 200)
        for again in (batch, batch, EncodedBatch.of(changed)):
            with pytest.raises(StoreUnavailable):
                write_batch(client, PLACE, again, policy)
            with pytest.raises(StoreUnavailable):
                write_one_by_one(client, PLACE, again, policy)
        with pytest.raises(StoreUnavailable):
            replace_document(client, PLACE, {"n": 1}, changed[1], "majority")
        assert client.count(PLACE) == 3
        servers.wake(others)
        monkeypatch.undo()
        put_back = write_batch(client, PLACE, batch, policy)
        assert (put_back.replaced, put_back.already_there) == (1, 2)
        assert write_one_by_one(client, PLACE, batch, policy).already_there == 3


@pytest.fixture
def fleet_of_three(
    own_services: LocalServices, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Fleet, Any]]:
    own_services.start_valkey()
    servers = ReplicaSet(own_services, getattr(request, "param", 1000))
    environment = {
        "FRAMEWORK_BROKER_URL": own_services.redis_url,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": servers.url,
        "FRAMEWORK_STALL_SECONDS": "2",
    }

    def start_worker(concurrency: int = 1) -> RunningService:
        return own_services.start_worker(environment, concurrency)

    with (
        pymongo.MongoClient[dict[str, Any]](servers.url) as mongo,
        redis.Redis.from_url(own_services.redis_url) as client,
    ):
        fleet = Fleet(environment, client, mongo, "shop", tmp_path, start_worker)
        yield fleet, servers
        fleet.close()


def test_the_majority_is_gone_and_then_the_primary(
    fleet_of_three: tuple[Fleet, ReplicaSet], own_services: LocalServices
) -> None:
    """What only the old primary had is rolled back; it was not acknowledged, so it comes again."""
    fleet, servers = fleet_of_three
    fleet.start_worker(2)
    total = 20_000
    producer = fleet.start(*generate_arguments(fleet, total, "--max-rate", 5000, batch_size=500))
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.2)
    primary = servers.wait_for_primary()
    others = [name for name in servers.names if name != primary]
    servers.suspend(others)
    wait_until(lambda: servers.primary([primary]) is None, "it steps down without its majority")
    acknowledged = fleet.ledger.progress(run_id).acknowledged
    assert acknowledged < total
    own_services.stop(primary, SIGKILL)
    servers.wake(others)
    servers.wait_for_primary(others)
    kept = len(fleet.raw_documents("orders"))
    assert kept >= acknowledged
    fleet.wait_for_share(run_id, acknowledged / total + 0.1)
    assert producer.wait(60) == 0
    check_exact(fleet, run_id, total)
    indexes = fleet.mongo["shop"]["orders"].index_information()
    assert len(indexes) > 1, "they are built without the node that is gone"


@pytest.mark.parametrize("fleet_of_three", [60_000], indirect=True)
def test_a_rebuilt_run_counts_what_a_majority_has(
    fleet_of_three: tuple[Fleet, ReplicaSet],
) -> None:
    """A failover may take back what the primary alone has: that is a gap, though it can be read."""
    fleet, servers = fleet_of_three
    committed, total = DOCUMENTS_PER_COMPARISON, 2 * DOCUMENTS_PER_COMPARISON
    run_id = str(fleet.run_json(*generate_arguments(fleet, total, "--detach"))["run"])
    batch = document_source(load_template("service_order"), 0, SEED).generate(0, total)
    documents = [RawBSONDocument(data) for data in batch.documents()]
    orders = fleet.mongo["shop"]["orders"]
    orders.insert_many(documents[:committed])  # the default: by a majority
    fleet.redis.flushdb()
    servers.suspend(others := [name for name in servers.names if name != servers.primary()])
    orders.with_options(write_concern=WriteConcern(1)).insert_many(documents[committed:])
    fleet.run("resume", run_id, "--rebuild", "--detach")
    servers.wake(others)
    progress = fleet.ledger.progress(run_id)
    assert progress.counters["already_there"] == progress.acknowledged == committed
    fleet.start_worker(1)
    fleet.run("resume", run_id)
    check_exact(fleet, run_id, total)
