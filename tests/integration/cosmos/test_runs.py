"""Whole runs with real workers against a simulated account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient

from dataworks_tasks.ledger.contract import RunProgress, RunState
from dataworks_tasks.run_spec import RunSpec
from dataworks_tasks.settings import ConfigManager
from producer.attach import send_everything
from producer.connections import Connections
from producer.local.cosmos_simulator import CosmosSimulator, FaultDials
from producer.run_request import GenerationRequest, RunOptions
from producer.start_generation import start_generation
from tests.fleet import Fleet, wait_until
from tests.integration.cosmos.conftest import StartSimulator

Environment = dict[str, str]


def aimed_at(fleet: Fleet, **urls: str) -> Environment:
    """The fleet's settings with other source or target databases."""
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
        send_everything(opened, spec)
        return ended(opened, spec)


def ended(opened: Connections, spec: RunSpec) -> RunProgress:
    def look() -> RunProgress | None:
        progress = opened.ledger.progress(spec.run_id)
        return progress if progress.state in {RunState.COMPLETE, RunState.FAILED} else None

    found: RunProgress = wait_until(look, f"the end of {spec.run_id}", seconds=100)
    return found


def ru_per_second(simulator: CosmosSimulator, skipped: int = 2) -> float:
    """The average without the first and last seconds, in which not everybody works."""
    seconds = dict(simulator.statistics().ru_per_second)
    charged = [second for second, ru in seconds.items() if ru > 500]
    first, last = min(charged) + skipped, max(charged) - skipped
    return sum(seconds.get(second, 0.0) for second in range(first, last)) / (last - first)


def documents_in(mongo: MongoClient[dict[str, Any]], database: str) -> int:
    names = mongo[database].list_collection_names()
    return sum(mongo[database][name].count_documents({}) for name in names)


BUDGET = 5000.0


@pytest.mark.parametrize(
    ("account", "options"),
    [
        (BUDGET, RunOptions(max_ru=BUDGET, batch_size=2000)),
        (BUDGET, RunOptions(batch_size=2000)),
        (None, RunOptions(max_ru=BUDGET, batch_size=2000)),
    ],
    ids=["budget-of-the-account", "found-by-the-controller", "budget-below-the-account"],
)
def test_four_workers_use_the_budget_and_nothing_more(
    start_simulator: StartSimulator,
    fleet: Fleet,
    account: float | None,
    options: RunOptions,
) -> None:
    simulator = start_simulator(ru_per_second=account)
    environment = aimed_at(fleet, target=simulator.url)
    fleet.start_worker(4, environment)
    progress = generate(environment, 10_000, options)
    print(progress.counters, simulator.statistics().ru_per_second)
    assert progress.state is RunState.COMPLETE
    assert (progress.failures, progress.gaps) == (0, 0)
    assert documents_in(fleet.mongo, fleet.database) == 10_000
    assert 0.95 * BUDGET <= ru_per_second(simulator) <= 1.05 * BUDGET
