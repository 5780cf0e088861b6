"""Accounts in which documents of different shard key values have the same ``_id``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument

from dataworks_tasks.errors import UsageError
from dataworks_tasks.migrate.migration_work import MigrationWork
from dataworks_tasks.runs.choices import OnConflict
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, Transform
from dataworks_tasks.settings import FrameworkConfig
from producer.cosmos_simulator import CosmosSimulator, FaultDials
from producer.start.check_repeated_ids import (
    check_id_from,
    check_repeated_ids,
    count_collisions,
    with_id_from,
)
from producer.start.dropped_collection import describe_collection
from tests.integration.cosmos.conftest import Connect, StartSimulator
from tests.integration.migrate.conftest import Migration

TENANTS = 10
Documents = list[dict[str, Any]]


def documents(count: int) -> Documents:
    """Three kinds of ``_id``s; each is there for every tenant."""
    ids = [
        *(ObjectId(f"{number:024x}") for number in range(count)),
        *(f"text-{number:04}" for number in range(count)),
        *range(count),
    ]
    return [
        {"_id": id_, "tenant": tenant, "kind": "order", "pad": "x" * (tenant * 20)}
        for id_ in ids
        for tenant in range(TENANTS)
    ]


@pytest.fixture
def backing(mongo_client: pymongo.MongoClient[dict[str, Any]]) -> Iterator[Any]:
    """Yield the database that mongod holds, for an independent look; drop it afterwards."""
    local = mongo_client["local"]
    yield local
    for name in local.list_collection_names(filter={"name": {"$regex": "^cosmos\\."}}):
        local.drop_collection(name)


def raw(database: Any, name: str) -> list[bytes]:
    collection = database[name]
    options = collection.codec_options.with_options(document_class=RawBSONDocument)
    return sorted(bytes(document.raw) for document in collection.with_options(options).find({}))


def sharded(simulator: CosmosSimulator, database: str, *names: str) -> None:
    with pymongo.MongoClient[dict[str, Any]](simulator.url) as client:
        for name in names:
            client.admin.command("shardCollection", f"{database}.{name}", key={"tenant": "hashed"})


def filled(simulator: CosmosSimulator, database: str, count: int) -> Documents:
    made = documents(count)
    with pymongo.MongoClient[dict[str, Any]](simulator.url) as client:
        for start in range(0, len(made), 500):
            client[database]["source"].insert_many(made[start : start + 500], ordered=False)
    return made


def migration(source: Any, target: Any, database: str, page: int = 37) -> Migration:
    config = FrameworkConfig(source_db_batch_size=page, parallel_cursors=2)
    return Migration(source, target, database, batch_size=400, config=config)


@pytest.mark.situation(
    5,
    "Cosmos DB, several partitions share an `_id`, cursors are cut and reads throttled",
    before="2,600 or 1,000 of 3,000 documents, `complete`, exit 0",
    now="3,000 of 3,000, and the verification is equal",
)
def test_nothing_vanishes_where_cursors_are_cut_and_reads_throttled(
    start_simulator: StartSimulator, connect: Connect, database_name: str, backing: Any
) -> None:
    quiet = start_simulator(partitioned_ids=True)
    sharded(quiet, database_name, "source", "target")
    made = filled(quiet, database_name, 40)
    faults = FaultDials(throttle_share=0.1, cursor_cut_share=0.2, drop_after_share=0.02, seed=3)
    rough = start_simulator(partitioned_ids=True, faults=faults)
    sharded(rough, database_name, "source", "target")  # a restarted simulator has forgotten
    run = migration(connect(rough.url), connect(rough.url), database_name)
    counters = run.copy()
    assert counters["written"] + counters.get("already_there", 0) == len(made)
    source = raw(backing, f"cosmos.{database_name}.source")
    assert len(source) == len(made)
    assert raw(backing, f"cosmos.{database_name}.target") == source
    counters, differences = run.verify()
    assert differences == []
    assert counters["equal"] == len(made)


@pytest.mark.situation(
    5,
    "the same to a target whose `_id`s are unique",
    before="documents missing or replaced, `complete`",
    now="refused with the number of collisions and the flag to use, exit 2",
)
def test_where_ids_are_unique_the_collisions_are_counted_and_refused(
    start_simulator: StartSimulator,
    connect: Connect,
    database_name: str,
    backing: Any,
    mongodb_url: str,
) -> None:
    simulator = start_simulator(partitioned_ids=True, faults=FaultDials(cursor_cut_share=0.2))
    sharded(simulator, database_name, "source")
    made = filled(simulator, database_name, 30)
    source, target = connect(simulator.url), connect(mongodb_url)
    run = migration(source, target, database_name)
    with pytest.raises(
        UsageError, match=r"810 documents of .*source have the same _id as another one"
    ):
        check_repeated_ids(source, target, run.job(), None)
    # Sharded by the same key the target keeps them apart too.
    check_repeated_ids(source, source, run.job(), "tenant")
    with pytest.raises(UsageError, match="810 documents"):
        check_repeated_ids(source, source, run.job(), "kind")
    found = count_collisions(source, run.job().namespaces[0], run.job(), ["tenant"])
    assert (found.documents, found.looked_at, found.complete) == (0, len(made), True)


def test_without_a_rule_each_collision_is_a_recorded_failure(
    start_simulator: StartSimulator,
    connect: Connect,
    database_name: str,
    backing: Any,
    mongodb_url: str,
) -> None:
    """A run that bypasses the check still loses nothing silently."""
    simulator = start_simulator(partitioned_ids=True)
    sharded(simulator, database_name, "source")
    made = filled(simulator, database_name, 10)
    run = migration(connect(simulator.url), connect(mongodb_url), database_name)
    context = run.context(run.job())
    counters = run.work_through(MigrationWork(context), context)
    failures = list(context.ledger.failures(context.spec.run_id))
    assert len(failures) == len(made) - 30
    assert {failure.reason for failure in failures} == {
        "the target holds another document with this _id"
    }
    assert counters["written"] == 30


def test_a_collision_is_never_skipped_or_replaced_unseen(
    start_simulator: StartSimulator,
    connect: Connect,
    database_name: str,
    backing: Any,
    mongodb_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator = start_simulator(partitioned_ids=True)
    sharded(simulator, database_name, "source")
    with pymongo.MongoClient[dict[str, Any]](simulator.url) as client:
        client[database_name]["source"].insert_many([{"_id": n, "tenant": n} for n in range(300)])
    source, target = connect(simulator.url), connect(mongodb_url)
    run = migration(source, target, database_name)
    replacing = run.job(on_conflict=OnConflict.REPLACE)
    check_repeated_ids(source, target, replacing, None)
    monkeypatch.setattr("producer.start.check_repeated_ids._COUNTING_SECONDS", 0.0)
    check_repeated_ids(source, target, run.job(), None)
    with pytest.raises(UsageError, match="--on-conflict replace would keep one of them"):
        check_repeated_ids(source, target, replacing, None)


@pytest.mark.situation(
    5,
    "the same with `--id-from shardKey`",
    before="no such rule",
    now="every document arrives, exit 0",
)
def test_ids_made_of_the_shard_key_keep_every_document(
    start_simulator: StartSimulator,
    connect: Connect,
    database_name: str,
    backing: Any,
    mongodb_url: str,
    mongo_client: pymongo.MongoClient[dict[str, Any]],
) -> None:
    faults = FaultDials(cursor_cut_share=0.2, drop_after_share=0.02, seed=5)
    quiet = start_simulator(partitioned_ids=True)
    sharded(quiet, database_name, "source")
    made = filled(quiet, database_name, 30)
    rough = start_simulator(partitioned_ids=True, faults=faults)
    sharded(rough, database_name, "source")
    source, target = connect(rough.url), connect(mongodb_url)
    run = migration(source, target, database_name)
    job = run.job(namespaces=with_id_from(source, run.job().namespaces, "shardKey"))
    check_id_from(job)
    check_repeated_ids(source, target, job, None)
    run.copy(job)
    there = list(mongo_client[database_name]["target"].find({}))
    assert {(str(one["_id"]["_id"]), one["_id"]["tenant"]) for one in there} == {
        (str(one["_id"]), one["tenant"]) for one in made
    }
    assert all(one["tenant"] == one["_id"]["tenant"] for one in there)
    counters, differences = run.verify(job)
    assert (counters["equal"], differences) == (len(made), [])


def test_the_rule_is_refused_where_it_cannot_work(
    start_simulator: StartSimulator, connect: Connect, database_name: str, mongodb_url: str
) -> None:
    simulator = start_simulator(partitioned_ids=True)
    sharded(simulator, database_name, "source")
    source = connect(simulator.url)
    pairs = migration(source, source, database_name).job().namespaces
    with pytest.raises(UsageError, match="changes nothing"):
        with_id_from(connect(mongodb_url), pairs, "shardKey")
    made = with_id_from(source, pairs, "shardKey")
    for transform in (Transform(drop=("tenant",)), Transform(rename=(("tenant", "customer"),))):
        job = MigrationJob(namespaces=made, transform=transform)
        with pytest.raises(UsageError, match="needs 'tenant', which another rule removes"):
            check_id_from(job)


def test_a_dropped_collection_keeps_its_shard_key_and_throughput(
    start_simulator: StartSimulator, connect: Connect, database_name: str
) -> None:
    simulator = start_simulator()
    target = connect(simulator.url)
    namespace = Namespace(database_name, "orders")
    made: dict[str, Any] = {"collection": "orders", "shardKey": "tenant"}
    made["autoScaleSettings"] = {"maxThroughput": 20_000}
    target.command(database_name, {"customAction": "CreateCollection", **made})
    asked = {"customAction": "GetCollection", "collection": "orders"}
    before = target.command(database_name, asked)
    dropped = describe_collection(target, namespace, laid_out=False)
    target.drop(namespace)
    assert dropped is not None
    dropped.create(target)
    assert target.command(database_name, asked) == before
    assert target.shard_key(namespace) == "tenant"
