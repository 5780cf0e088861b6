"""Redis is full, read-only, empty or gone: a run stops or continues, never called complete."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataworks_tasks.errors import UnknownName
from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until
from tests.support.exact import (
    check_copied,
    check_exact,
    fill_source,
    generate_arguments,
    migrate_arguments,
)

TOTAL = 20_000


def lose_everything(fleet: Fleet) -> None:
    """As after a failover to an empty Redis."""
    fleet.redis.flushdb()


def test_an_empty_redis_in_the_middle_of_a_generation(fleet: Fleet) -> None:
    fleet.start_worker(2)
    producer = fleet.start(*generate_arguments(fleet, TOTAL, "--max-rate", 5000))
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.4)
    lose_everything(fleet)
    assert producer.wait(60) == 1
    output = producer.communicate()[0]
    assert "Redis has lost run" in output
    assert f"dataworks resume {run_id} --rebuild" in output
    with pytest.raises(UnknownName):
        fleet.ledger.progress(run_id)
    rebuilt = fleet.run("resume", run_id, "--rebuild", "--json")
    check_exact(fleet, run_id, TOTAL)
    there = fleet.ledger.progress(run_id).counters["already_there"]
    assert there > 0.3 * TOTAL, rebuilt.stderr


def test_an_empty_redis_in_the_middle_of_a_migration(fleet: Fleet) -> None:
    fill_source(fleet, 10_000)
    fleet.start_worker(2)
    producer = fleet.start(*migrate_arguments(fleet, "--max-rate", 1000, batch_size=200))
    run_id = fleet.newest_run()
    wait_until(lambda: fleet.ledger.progress(run_id).acknowledged > 15, "some slices are copied")
    spec = fleet.folder / "kept.json"
    spec.write_text(fleet.ledger.spec(run_id).to_json())
    lose_everything(fleet)
    assert producer.wait(60) == 1
    (fleet.folder / ".dataworks" / "runs" / f"{run_id}.json").unlink()
    fleet.run_json("resume", run_id, "--rebuild", "--spec", spec)
    check_copied(fleet, run_id)
    assert fleet.ledger.progress(run_id).counters["already_there"] > 5 * 200
    assert fleet.run("status", run_id, "--spec").stdout == spec.read_text() + "\n"
    assert fleet.run_json("verify", run_id)["failures"] == 0


def test_what_cannot_be_rebuilt_is_said(fleet: Fleet) -> None:
    fleet.start_worker(1)
    run_id = str(fleet.run_json(*generate_arguments(fleet, 1000))["run"])
    other = "gen-20261122-142501-7f3a"
    kept = fleet.folder / ".dataworks" / "runs" / f"{run_id}.json"
    changed = fleet.folder / "changed.json"
    changed.write_text(
        json.dumps({**json.loads(kept.read_text()), "target_fingerprint": "elsewhere:27017"})
    )

    def refusal(*arguments: object) -> str:
        done = fleet.run("resume", *arguments, check=False)
        assert done.returncode in {1, 2}
        return " ".join(done.stderr.split())

    assert "nothing to rebuild" in refusal(run_id, "--rebuild")
    assert "cannot be read" in refusal(other, "--rebuild")
    assert f"is the spec of {run_id}" in refusal(other, "--rebuild", "--spec", kept)
    assert "--spec requires --rebuild" in refusal(run_id, "--spec", kept)
    lose_everything(fleet)
    assert "the run's target is elsewhere" in refusal(run_id, "--rebuild", "--spec", changed)
    assert "--rebuild" in refusal(run_id)
    damaged = Path(fleet.folder / "damaged.json")
    damaged.write_text("{}")
    assert "damaged" in refusal(run_id, "--rebuild", "--spec", damaged)
    assert fleet.ledger.run_ids() == []


@pytest.mark.parametrize(
    "hindrance",
    [
        pytest.param(("maxmemory", "1"), id="full"),
        pytest.param(("min-replicas-to-write", "1"), id="read-only", marks=pytest.mark.soak),
    ],
)
def test_a_redis_that_does_not_store(own_fleet: Fleet, hindrance: tuple[str, str]) -> None:
    own_fleet.start_worker(2)
    producer = own_fleet.start(*generate_arguments(own_fleet, TOTAL, "--max-rate", 5000))
    run_id = own_fleet.newest_run()
    own_fleet.wait_for_share(run_id, 0.3)
    name, value = hindrance
    before = own_fleet.redis.config_get(name)[name]
    own_fleet.redis.config_set(name, value)
    stuck = wait_until(lambda: _is_stuck(own_fleet, run_id), "nothing is acknowledged any more")
    assert stuck < TOTAL
    assert own_fleet.ledger.progress(run_id).state is RunState.RUNNING
    refused = own_fleet.run(*generate_arguments(own_fleet, 10, collection="other"), check=False)
    assert refused.returncode != 0
    assert "Redis" in refused.stderr
    own_fleet.redis.config_set(name, str(before))
    assert producer.wait(90) == 0
    check_exact(own_fleet, run_id, TOTAL)


def _is_stuck(fleet: Fleet, run_id: str) -> int:
    import time

    before = fleet.ledger.progress(run_id).acknowledged
    time.sleep(1.5)
    after = fleet.ledger.progress(run_id).acknowledged
    return after if before == after else 0
