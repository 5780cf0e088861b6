"""Runs side by side, runs with names, and runs that are forgotten."""

from __future__ import annotations

import time

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until


def documents(fleet: Fleet, run_id: str) -> int:
    return fleet.ledger.progress(run_id).counters.get("documents", 0)


def started(fleet: Fleet, total: object, collection: str, *options: object) -> str:
    """Return a detached run of that many documents."""
    place = ("--database", fleet.database, "--collection", collection)
    arguments = ("generate", "service_order", "--total", total, *place, "--detach", *options)
    return str(fleet.run_json(*arguments)["run"])


def test_a_small_run_need_not_wait_for_a_large_one(fleet: Fleet) -> None:
    fleet.start_worker(2)
    limited = started(fleet, "1e8", "limited", "--max-rate", 1000)
    large = started(fleet, "1e8", "large")
    wait_until(lambda: documents(fleet, large), "the large run began")
    before, began = documents(fleet, limited), time.monotonic()
    small = started(fleet, 1000, "small")
    fleet.wait_for_state(small, RunState.COMPLETE, 15)
    time.sleep(max(0.0, 6 - (time.monotonic() - began)))
    rate = (documents(fleet, limited) - before) / (time.monotonic() - began)
    for run_id in (limited, large):
        fleet.run("cancel", run_id)
    assert 600 < rate < 1400, "the limited run continues, at its rate"


def test_a_run_keeps_to_its_processes(fleet: Fleet) -> None:
    fleet.start_worker(3)
    run_id = started(fleet, "1e8", "orders", "--max-processes", 1, "--batch-size", 1000)
    fleet.wait_for_share(run_id, 0.0001)
    hands = {fleet.redis.hlen(f"dataworks:{{{run_id}}}:hands") for _ in range(200)}
    fleet.run("cancel", run_id)
    assert max(hands) == 1


def test_a_run_of_high_priority_gets_more_turns(fleet: Fleet) -> None:
    fleet.start_worker(1)
    low = started(fleet, "1e8", "low", "--priority", "low", "--batch-size", 200)
    high = started(fleet, "1e8", "high", "--priority", "high", "--batch-size", 200)
    wait_until(lambda: documents(fleet, high), "the second run began")
    before = [documents(fleet, run_id) for run_id in (low, high)]
    time.sleep(4)
    of_low, of_high = (
        documents(fleet, run_id) - base for run_id, base in zip((low, high), before, strict=True)
    )
    for run_id in (low, high):
        fleet.run("cancel", run_id)
    assert of_low > 0
    assert of_high > 3 * of_low


def test_a_restarted_job_continues_its_run(fleet: Fleet) -> None:
    place = ("--database", fleet.database, "--collection", "orders", "--run-name", "nightly")
    arguments = ("generate", "service_order", "--total", 1000, *place)
    run_id = str(fleet.run_json(*arguments, "--detach")["run"])
    fleet.start_worker(1)
    assert fleet.run_json(*arguments)["run"] == run_id
    again = fleet.run(*arguments).stdout
    assert "The run named nightly is on record: it is continued" in again
    assert f"{run_id} complete" in again
    assert fleet.run_json("status", "nightly")["run"] == run_id
    assert fleet.run_json("verify", "nightly")["state"] == "complete"
    assert len(fleet.ledger.run_ids()) == 2
    other = fleet.run(*arguments[:3], 2000, *place, check=False)
    assert other.returncode == 2
    assert "generates 1,000 documents, not 2,000" in other.stderr
    copy = fleet.run("migrate", "--include", f"{fleet.database}.orders", "--to", "copies.orders",
                     "--run-name", "nightly", check=False)  # fmt: skip
    assert f"is a generation: {run_id}" in copy.stderr


def test_a_paused_run_is_not_woken_by_its_name(fleet: Fleet) -> None:
    place = ("--database", fleet.database, "--collection", "orders", "--run-name", "nightly")
    arguments = ("generate", "service_order", "--total", 1000, *place)
    run_id = str(fleet.run_json(*arguments, "--detach")["run"])
    fleet.run("pause", "nightly")
    refused = fleet.run(*arguments, check=False)
    assert (refused.returncode, f"dataworks resume {run_id}" in refused.stderr) == (2, True)
    assert fleet.ledger.state(run_id) is RunState.PAUSED


def test_runs_that_ended_are_forgotten(fleet: Fleet) -> None:
    fleet.start_worker(1)
    ended = started(fleet, 1000, "orders", "--run-name", "nightly")
    fleet.wait_for_state(ended, RunState.COMPLETE)
    going = started(fleet, "1e8", "others", "--max-rate", 100)
    assert fleet.run_json("runs", "--prune", "1d")["forgotten"] == []
    assert fleet.run_json("runs", "--prune", "0.01s")["forgotten"] == [ended]
    wait_until(lambda: not fleet.redis.keys(f"*{ended}*"), "no key is left")
    assert fleet.ledger.run_ids() == [going]
    assert fleet.ledger.named_run("nightly") is None
    assert fleet.mongo[fleet.database]["orders"].count_documents({}) == 1000
    fleet.run("cancel", going)


def test_a_detached_run_that_nobody_takes_says_so_at_once(fleet: Fleet) -> None:
    place = ("--database", fleet.database, "--collection", "orders")
    words = ("generate", "sensors", "--total", 10, *place, "--detach")
    assert "no worker is running" in fleet.run(*words).stdout
    fleet.start_worker(1)
    assert "no worker" not in fleet.run(*words, "--append").stdout
