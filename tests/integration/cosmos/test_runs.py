"""Whole runs with real workers against a simulated account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pymongo
import pytest
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import RunProgress, RunState
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings import ConfigManager
from producer.connections import Connections
from producer.cosmos_simulator import CosmosSimulator, FaultDials
from producer.drive.attach import set_going
from producer.start.run_request import GenerationRequest, MigrationRequest, RunOptions
from producer.start.start_generation import start_generation
from producer.start.start_migration import start_migration
from producer.start.start_verification import start_verification
from tests.fleet import Fleet, wait_until
from tests.integration.cosmos.conftest import StartSimulator

Environment = dict[str, str]


def aimed_at(fleet: Fleet, **urls: str) -> Environment:
    """Return the fleet's settings with other source or target databases."""
    changed = {f"FRAMEWORK_{side.upper()}_DB_CONNECTION_STRING": url for side, url in urls.items()}
    return {**fleet.environment, **changed}


@contextmanager
def connections(environment: Environment) -> Iterator[Connections]:
    settings = {name.removeprefix("FRAMEWORK_"): value for name, value in environment.items()}
    config = ConfigManager().load_config("no-such-file", overrides=settings)
    with Connections(config) as opened:
        yield opened


def generate(environment: Environment, total: int, options: RunOptions) -> RunProgress:
    """Generate orders, wait for the end, and say how it ended."""
    with connections(environment) as opened:
        request = GenerationRequest("service_order", total=total, seed=5, options=options)
        spec = start_generation(request, opened.config, opened)
        set_going(opened, spec)
        return ended(opened, spec)


def ended(opened: Connections, spec: RunSpec, seconds: float = 100) -> RunProgress:
    def look() -> RunProgress | None:
        progress = opened.ledger.progress(spec.run_id)
        return progress if progress.state in {RunState.COMPLETE, RunState.FAILED} else None

    found: RunProgress = wait_until(look, f"the end of {spec.run_id}", seconds)
    return found


def ru_in_whole_seconds(simulator: CosmosSimulator) -> list[float]:
    """Return the RU of each second between the first and the last one with many."""
    seconds = dict(simulator.statistics().ru_per_second)
    charged = [second for second, ru in seconds.items() if ru > 500]
    return [seconds.get(second, 0.0) for second in range(min(charged) + 1, max(charged))]


def most_ru(budget: float, seconds: int, processes: int) -> float:
    """Return what a budget allows in so many seconds, whenever the processes are woken.

    Each may use one request, a tenth of a second's budget, in a later second than planned, and as
    much is saved up.
    """
    return budget * (seconds + 0.1 * (processes + 1))


def documents_in(mongo: MongoClient[dict[str, Any]], database: str) -> int:
    names = mongo[database].list_collection_names()
    return sum(mongo[database][name].count_documents({}) for name in names)


BUDGET = 5000.0
PROCESSES = 4
LEGACY_DRIVER = "4.10.1"
"""The only driver that speaks to server version 3.6."""


def test_four_workers_use_the_budget_and_no_more(
    start_simulator: StartSimulator, fleet: Fleet
) -> None:
    simulator = start_simulator()  # takes whatever comes: only the budget slows the workers down
    fill(fleet, simulator, 7000, RunOptions(max_ru=BUDGET, batch_size=1000))
    seconds = ru_in_whole_seconds(simulator)
    assert 0.9 * BUDGET * len(seconds) <= sum(seconds) <= most_ru(BUDGET, len(seconds), PROCESSES)


def test_four_workers_find_what_the_account_takes(
    start_simulator: StartSimulator, fleet: Fleet
) -> None:
    simulator = start_simulator(ru_per_second=BUDGET)
    fill(fleet, simulator, 11_000, RunOptions(batch_size=1000))
    # In the first seconds it has to find the rate, and the account gives what it had saved.
    seconds = ru_in_whole_seconds(simulator)[3:-1]
    assert 0.85 * BUDGET * len(seconds) <= sum(seconds)


def fill(fleet: Fleet, simulator: CosmosSimulator, total: int, options: RunOptions) -> None:
    """Generate by four workers; nothing is lost, and the run knows what it has cost."""
    environment = aimed_at(fleet, target=simulator.url)
    fleet.start_worker(PROCESSES, environment)
    progress = generate(environment, total, options)
    assert progress.state is RunState.COMPLETE
    assert (progress.failures, progress.gaps) == (0, 0)
    assert documents_in(fleet.mongo, fleet.database) == total
    reported = progress.counters["request_units"] + progress.counters.get(
        "request_units_estimated", 0
    )
    assert reported == pytest.approx(simulator.statistics().total_ru, rel=0.02)


def migrate(
    environment: Environment, source: str, target: str, seconds: float = 100
) -> RunProgress:
    """Copy a database's orders, compare both sides, and say how the copy ended."""
    with connections(environment) as opened:
        request = MigrationRequest(
            include=(f"{source}.orders",),
            to=f"{target}.orders",
            options=RunOptions(batch_size=1000),
        )
        spec = start_migration(request, opened.config, opened)
        set_going(opened, spec)
        progress = ended(opened, spec, seconds)
        assert progress.state is RunState.COMPLETE, progress.last_error
        check = start_verification(spec.run_id, opened)
        set_going(opened, check)
        verified = ended(opened, check, seconds)
        assert (verified.state, verified.failures) == (RunState.COMPLETE, 0)
        return progress


BY_N = {"name": "by_n", "key": {"n": 1}, "unique": True}
INDEXED = {
    "fields": {"n": {"type": "sequence"}, "group": {"type": "int", "min": 1, "max": 9}},
    "indexes": [
        BY_N,
        {"name": "by_group", "key": {"group": 1}},
    ],
}


def test_a_templates_unique_index_is_built_while_the_collection_is_empty(
    start_simulator: StartSimulator, fleet: Fleet
) -> None:
    simulator = start_simulator()
    environment = aimed_at(fleet, target=simulator.url)
    fleet.start_worker(1, environment)
    template = fleet.folder / "indexed.json"
    template.write_text(json.dumps(INDEXED))
    with connections(environment) as opened:
        request = GenerationRequest(
            str(template), 500, database=fleet.database, collection="indexed"
        )
        spec = start_generation(request, opened.config, opened)
        set_going(opened, spec)
        progress = ended(opened, spec)
        assert progress.state is RunState.COMPLETE, progress.last_error
        template.write_text(json.dumps({**INDEXED, "indexes": [{**BY_N, "name": "other"}]}))
        late = replace(request, options=RunOptions(append=True))
        with pytest.raises(UsageError, match=r"'other' of .* only on collections without"):
            start_generation(late, opened.config, opened)
    collection = fleet.mongo[fleet.database]["indexed"]
    found = collection.index_information()
    assert found["by_n"].get("unique")
    assert "by_group" in found
    assert collection.count_documents({}) == 500


def test_one_slice_that_outlasts_many_messages_is_copied_once(
    start_simulator: StartSimulator, fleet: Fleet, database_name: str
) -> None:
    simulator = start_simulator(ru_per_second=1500.0)
    source, target = fleet.mongo[database_name]["orders"], f"{database_name}_slow"
    source.insert_many({"_id": number, "pad": "x" * 500} for number in range(1500))
    plain = fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    environment = aimed_at(fleet, source=plain, target=simulator.url)
    small = {"FRAMEWORK_RANGE_SECONDS": "0.5", "FRAMEWORK_SOURCE_DB_BATCH_SIZE": "100"}
    for _ in range(2):
        fleet.start_worker(1, environment | small)
    try:
        with connections(environment) as opened:
            request = MigrationRequest(
                include=(f"{database_name}.orders",),
                to=f"{target}.orders",
                options=RunOptions(batch_size=10_000),
            )
            spec = start_migration(request, opened.config, opened)
            set_going(opened, spec)
            progress = ended(opened, spec)
        assert progress.state is RunState.COMPLETE
        assert (progress.counters["documents"], progress.counters["read"]) == (1500, 1500)
        assert len(progress.workers) > 1, "several processes had a part in it"
        # What a message's end cut off in the middle is written again, and no more.
        assert simulator.statistics().total_ru < 1.6 * 5.5 * 1500
        assert fleet.mongo[target]["orders"].count_documents({}) == 1500
    finally:
        fleet.mongo.drop_database(target)


def test_reading_spares_the_source(
    start_simulator: StartSimulator, fleet: Fleet, database_name: str
) -> None:
    simulator = start_simulator()  # takes whatever is asked for: only the budget slows reading down
    collection = fleet.mongo[database_name]["orders"]
    collection.insert_many({"_id": number, "pad": "x" * 1500} for number in range(10_000))
    plain = fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"]
    environment = aimed_at(fleet, source=simulator.url, target=plain)
    fleet.start_worker(PROCESSES, environment)
    budget = 2000.0
    try:
        with connections(environment) as opened:
            options = RunOptions(batch_size=1000, max_ru=budget)
            request = MigrationRequest(
                include=(f"{database_name}.orders",),
                to=f"{database_name}_copy.orders",
                partitioner="walk",
                options=options,
            )
            spec = start_migration(request, opened.config, opened)
            assert (spec.max_ru, spec.source_max_ru) == (None, budget)
            set_going(opened, spec)
            planned = simulator.statistics().total_ru
            progress = ended(opened, spec)
        assert (progress.state, progress.counters["written"]) == (RunState.COMPLETE, 10_000)
        reported = sum(
            progress.counters.get(name, 0)
            for name in ("read_request_units", "read_request_units_estimated")
        )
        assert reported == pytest.approx(simulator.statistics().total_ru - planned, rel=0.05)
        seconds = ru_in_whole_seconds(simulator)
        assert sum(seconds) <= most_ru(budget, len(seconds), PROCESSES)
    finally:
        fleet.mongo.drop_database(f"{database_name}_copy")


def test_a_budget_for_a_source_that_has_none_is_refused(fleet: Fleet) -> None:
    plain = fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"]
    fleet.mongo[fleet.database]["orders"].insert_one({})
    with connections(aimed_at(fleet, source=plain)) as opened:
        request = MigrationRequest(
            include=(f"{fleet.database}.orders",),
            to=f"{fleet.database}.copy",
            options=RunOptions(source_max_ru=100),
        )
        with pytest.raises(UsageError, match="the source is not a Cosmos DB account"):
            start_migration(request, opened.config, opened)


def test_there_and_back_through_an_old_account_full_of_faults(
    start_simulator: StartSimulator, fleet: Fleet, database_name: str
) -> None:
    faults = FaultDials(
        throttle_share=0.05,
        cursor_cut_share=0.05,
        drop_before_share=0.025,
        drop_after_share=0.025,
        seed=11,
    )
    version = "3.6" if pymongo.version == LEGACY_DRIVER else "6.0"
    simulator = start_simulator(server_version=version, faults=faults)
    source, there, back = database_name, f"{database_name}_there", f"{database_name}_back"
    collection = fleet.mongo[source]["orders"]
    collection.insert_many({"_id": ObjectId(), "number": n, "pad": "x" * 200} for n in range(1300))
    collection.insert_many({"_id": f"text-{n}", "number": n} for n in range(200))
    plain = fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"]
    try:
        fleet.environment["FRAMEWORK_SOURCE_DB_BATCH_SIZE"] = "50"
        out = aimed_at(fleet, source=plain, target=simulator.url)
        home = aimed_at(fleet, source=simulator.url, target=plain) | {"FRAMEWORK_QUEUE": "home"}
        fleet.start_worker(2, out)
        fleet.start_worker(2, home)
        first, second = migrate(out, source, there), migrate(home, there, back)
        for progress in (first, second):
            assert (progress.failures, progress.gaps) == (0, 0)
        assert raw(fleet, source) == raw(fleet, back)
        assert simulator.statistics().throttled_requests > 0
    finally:
        fleet.mongo.drop_database(there)
        fleet.mongo.drop_database(back)


def raw(fleet: Fleet, database: str) -> list[bytes]:
    collection = fleet.mongo.get_database(database).get_collection("orders")
    options = collection.codec_options.with_options(document_class=RawBSONDocument)
    return sorted(bytes(document.raw) for document in collection.with_options(options).find({}))
