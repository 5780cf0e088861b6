"""The promises at their true size: ``pytest -m soak -s tests/integration/cosmos``."""

from __future__ import annotations

import json
import sys

import pymongo
import pytest

from dataworks_tasks.ledger.contract import RunState
from producer.cosmos_simulator import CosmosSimulator, FaultDials
from producer.drive.attach import set_going
from producer.start.run_request import GenerationRequest, RunOptions
from producer.start.start_generation import start_generation
from producer.start.start_verification import start_verification
from tests.fleet import Fleet
from tests.integration.cosmos.conftest import StartSimulator
from tests.integration.cosmos.test_runs import (
    LEGACY_DRIVER,
    aimed_at,
    connections,
    ended,
    migrate,
    raw,
    ru_in_whole_seconds,
)

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
BUDGET, TOTAL = 5000.0, 200_000
READING = {
    "name": "readings",
    "collection": "readings",
    "content": {
        "device": {"type": "pattern", "pattern": "[A-F]{2}-[0-9]{6}"},
        "at": {"type": "date", "startDate": "2026-01-01", "endDate": "2026-12-31"},
        "value": {"type": "double", "min": 0, "max": 100},
        "status": {"type": "enum", "values": ["ok", "low", "high"]},
    },
}


def say(what: str, simulator: CosmosSimulator) -> None:
    reported = simulator.statistics()
    throttled = f"{reported.throttled_requests:,} of {reported.requests:,} requests throttled"
    sys.stdout.write(f"\n{what}, {throttled}\n")


def test_two_hundred_thousand_documents_use_the_budget_and_no_more(
    start_simulator: StartSimulator, fleet: Fleet
) -> None:
    simulator = start_simulator(ru_per_second=BUDGET)
    environment = aimed_at(fleet, target=simulator.url)
    fleet.start_worker(4, environment)
    template = fleet.folder / "readings.json"
    template.write_text(json.dumps(READING))
    with connections(environment) as opened:
        request = GenerationRequest(str(template), TOTAL, options=RunOptions(max_ru=BUDGET))
        spec = start_generation(request, opened.config, opened)
        set_going(opened, spec)
        progress = ended(opened, spec, seconds=600)
        assert (progress.state, progress.failures, progress.gaps) == (RunState.COMPLETE, 0, 0)
        statistics = simulator.statistics()
        whole_seconds = ru_in_whole_seconds(simulator)
        rate = sum(whole_seconds) / len(whole_seconds)
        say(f"{statistics.total_ru / TOTAL:.2f} RU/document, {rate:,.0f} RU/s", simulator)
        check = start_verification(spec.run_id, opened)
        set_going(opened, check)
        verified = ended(opened, check, seconds=300)
    assert (verified.state, verified.failures) == (RunState.COMPLETE, 0)
    assert verified.counters["equal"] == TOTAL
    assert 0.95 * BUDGET <= rate <= 1.05 * BUDGET
    seconds = [ru for _, ru in statistics.ru_per_second]
    ten_seconds = [sum(seconds[at : at + 10]) for at in range(len(seconds) - 9)]
    assert max(ten_seconds) <= 1.05 * 10 * BUDGET


def test_there_and_back_again_with_fifty_thousand_documents(
    start_simulator: StartSimulator, fleet: Fleet, database_name: str
) -> None:
    faults = FaultDials(
        throttle_share=0.05, cursor_cut_share=0.05, drop_before_share=0.025, drop_after_share=0.025
    )
    version = "3.6" if pymongo.version == LEGACY_DRIVER else "6.0"
    simulator = start_simulator(server_version=version, faults=faults)
    source, there, back = database_name, f"{database_name}_there", f"{database_name}_back"
    fleet.run(
        "generate",
        "service_order",
        "--total",
        50_000,
        "--database",
        source,
        "--collection",
        "orders",
        "--detach",
    )
    plain = fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"]
    fleet.environment["FRAMEWORK_SOURCE_DB_BATCH_SIZE"] = "100"
    out = aimed_at(fleet, source=plain, target=simulator.url) | {"FRAMEWORK_QUEUE": "out"}
    home = aimed_at(fleet, source=simulator.url, target=plain) | {"FRAMEWORK_QUEUE": "home"}
    fleet.start_worker(2)
    with connections(fleet.environment) as opened:
        ended(opened, opened.ledger.spec(fleet.newest_run()))
    fleet.start_worker(2, out)
    fleet.start_worker(2, home)
    try:
        for progress in (migrate(out, source, there, 400), migrate(home, there, back, 400)):
            assert (progress.failures, progress.gaps) == (0, 0)
        assert len(raw(fleet, source)) == 50_000
        assert raw(fleet, source) == raw(fleet, back)
        say(f"server version {version}", simulator)
    finally:
        fleet.mongo.drop_database(there)
        fleet.mongo.drop_database(back)
