"""Limits change while a run runs, and `status` shows those that hold."""

from __future__ import annotations

import json
import time

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until


def documents(fleet: Fleet, run: str) -> int:
    return fleet.ledger.progress(run).counters.get("documents", 0)


def rate_of(fleet: Fleet, run: str) -> float:
    """Documents per second over half a second."""
    began, before = time.monotonic(), documents(fleet, run)
    time.sleep(0.5)
    return (documents(fleet, run) - before) / (time.monotonic() - began)


def test_a_slow_run_gets_faster_and_slower(fleet: Fleet) -> None:
    fleet.start_worker(2)
    where = ("--database", fleet.database, "--collection", "orders")
    slow = ("--total", 20_000, "--batch-size", 500, "--max-rate", 200, "--detach")
    run = fleet.run_json("generate", "service_order", *where, *slow)["run"]
    wait_until(lambda: documents(fleet, run) > 0, "the first documents")
    assert fleet.run_json("rate", run)["max_rate"] == 200

    fleet.run("rate", run, "--max-rate", "4k")
    assert fleet.run("status", run, check=False).stdout.count("4,000 documents/s") == 1
    assert json.loads(fleet.run("runs", "--json").stdout)["max_rate"] == 4_000
    began, before = time.monotonic(), documents(fleet, run)
    wait_until(lambda: documents(fleet, run) > before + 2_500, "it is faster")
    # At 200 a second these would have taken 12 seconds.
    assert documents(fleet, run) - before > 250 * (time.monotonic() - began)

    fleet.run("rate", run, "--max-rate", "100")
    wait_until(lambda: rate_of(fleet, run) < 400, "it is slower")

    fleet.run("rate", run, "--max-rate", "none")
    fleet.wait_for_state(run, RunState.COMPLETE)
    assert fleet.mongo[fleet.database].orders.count_documents({}) == 20_000
    refused = fleet.run("rate", run, "--max-rate", 10, check=False)
    assert (refused.returncode, "is complete" in refused.stderr) == (2, True)


def test_values_that_are_no_limit_are_refused(fleet: Fleet) -> None:
    where = ("--database", fleet.database, "--collection", "orders")
    run = fleet.run_json("generate", "service_order", *where, "--total", 100, "--detach")["run"]
    for flags, reason in (
        (("--max-rate", "0"), "must be 1 or more"),
        (("--max-rate", "-5"), "must be 1 or more"),
        (("--max-rate", "fast"), "not a number"),
        (("--max-ru", "400"), "not a Cosmos DB account"),
        (("--source-max-ru", "400"), "not a Cosmos DB account"),
    ):
        refused = fleet.run("rate", run, *flags, check=False)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert reason in refused.stderr
    unknown = fleet.run("rate", "gen-1", "--max-rate", 5, check=False)
    assert "is not on record" in unknown.stderr
    fleet.run("pause", run)
    # The ledger has the limit; no database is needed.
    for side in ("SOURCE", "TARGET"):
        del fleet.environment[f"FRAMEWORK_{side}_DB_CONNECTION_STRING"]
    assert fleet.run_json("rate", run, "--max-rate", 50)["max_rate"] == 50
