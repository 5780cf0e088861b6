"""Runs that are under way when workers get another version."""

from __future__ import annotations

import json
import re

import pytest
from pydantic import SecretStr

from dataworks_tasks.broker.create_app import create_app
from dataworks_tasks.errors import SpecRefused
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.keys import RunKeys
from dataworks_tasks.monitor.metrics import newest_runs
from dataworks_tasks.runs.read_spec import read_spec
from dataworks_tasks.runs.spec import FORMAT_VERSION
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.version import __version__
from tests.fleet import Fleet, wait_until

OTHER = "tests.support.next_version_app"
OTHER_FAKER = "tests.support.other_faker_app"
OLDER_FORMAT = "tests.support.older_format_app"
OLDER_TASKS = "tests.support.older_tasks_app"


def _start(fleet: Fleet) -> str:
    fleet.run(
        *("generate", "user_profile", "--total", 2000, "--batch-size", 200, "--seed", 1),
        *("--collection", "people", "--detach"),
    )
    return fleet.newest_run()


def test_a_worker_of_another_version_that_makes_the_same_documents_continues(fleet: Fleet) -> None:
    fleet.start_worker(application=OTHER)
    run_id = _start(fleet)
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    fleet.run("verify", run_id)


def test_a_spec_of_a_newer_format_is_refused_and_an_older_one_is_read(fleet: Fleet) -> None:
    run_id = _start(fleet)
    spec = json.loads(fleet.ledger.spec(run_id).to_json())
    assert read_spec(json.dumps({**spec, "format": FORMAT_VERSION - 1})).run_id == run_id
    newer = {**spec, "format": FORMAT_VERSION + 1, "new_part": {}}
    with pytest.raises(SpecRefused, match="pip install -U dataworks"):
        read_spec(json.dumps(newer))


def test_a_run_of_a_newer_version_hides_no_other_run(fleet: Fleet) -> None:
    """Commands and metrics of the older version show the others, and say what they cannot read."""
    run_id = _start(fleet)
    place = ("--collection", "animals", "--detach")
    newer = str(fleet.run_json("generate", "user_profile", "--total", 10, *place)["run"])
    key = RunKeys(newer).spec
    spec = json.loads(fleet.ledger.spec(newer).to_json())
    fleet.redis.set(key, json.dumps({**spec, "format": FORMAT_VERSION + 1}))

    listed = fleet.run("runs", check=False)
    assert listed.returncode == 4, listed.stdout + listed.stderr
    assert run_id in listed.stdout
    assert newer not in listed.stdout
    assert f"{newer}: the run's spec has format {FORMAT_VERSION + 1}, " in listed.stderr
    assert "pip install -U dataworks" in listed.stderr
    as_json = fleet.run("runs", "--json", check=False)
    assert [json.loads(line)["run"] for line in as_json.stdout.splitlines()] == [run_id]
    assert {run.run_id for run in newest_runs(fleet.ledger, 2)} == {newer, run_id}


def test_a_worker_with_another_faker_leaves_the_run_to_others(fleet: Fleet) -> None:
    """Two halves from two lists of names would be nobody's documents."""
    fleet.start_worker(application=OTHER_FAKER)
    run_id = _start(fleet)

    def refused() -> bool:
        return "1.0.0 here" in " ".join(fleet.run("status", run_id, check=False).stdout.split())

    wait_until(refused, "status says what the worker refuses")
    said = " ".join(fleet.run("status", run_id, check=False).stdout.split())
    assert re.search(r"produces different documents .*faker \S+ there, 1\.0\.0 here", said), said
    assert fleet.raw_documents("people") == []

    fleet.start_worker()
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    fleet.run("verify", run_id)


def test_runs_end_although_a_worker_of_the_queue_cannot_read_them(fleet: Fleet) -> None:
    fleet.start_worker(application=OLDER_FORMAT)
    run_id = _start(fleet)

    def refused() -> bool:
        return "pip install -U dataworks" in str(fleet.ledger.progress(run_id).last_error)

    wait_until(refused, "a worker refuses the run")
    fleet.start_worker()
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    assert len(fleet.raw_documents("people")) == 2000
    fleet.run("verify", run_id)


def test_a_task_that_a_worker_does_not_know_is_left_to_a_newer_one(fleet: Fleet) -> None:
    fleet.start_worker(application=OLDER_TASKS)
    run_id = _start(fleet)

    def left() -> bool:
        return "does not know the task" in str(fleet.ledger.progress(run_id).last_error)

    wait_until(left, "a worker leaves the run to others")

    def said_by_doctor() -> str:
        """Return what it says once the worker answers in time."""
        said = " ".join(fleet.run("doctor", check=False).stdout.split())
        return said if "worker tasks" in said else ""

    said = wait_until(said_by_doctor, "doctor names the worker")
    assert "FAIL worker tasks: " in said
    assert f"of version {__version__} does not know dataworks.generate_range" in said
    assert "pip install -U dataworks" in said
    said = " ".join(fleet.run("status", run_id, check=False).stdout.split())
    assert re.search(r"the worker \S+ of version \S+ does not know the task dataworks\.\w+", said)
    assert "pip install -U dataworks" in said
    assert fleet.raw_documents("people") == []

    fleet.start_worker()
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    assert len(fleet.raw_documents("people")) == 2000
    fleet.run("verify", run_id)


def test_a_task_that_nobody_knows_is_dropped_when_its_run_is_over_or_unknown(fleet: Fleet) -> None:
    fleet.start_worker()
    run_id = _start(fleet)
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    app = create_app(
        FrameworkConfig(broker_url=SecretStr(fleet.environment["FRAMEWORK_BROKER_URL"]))
    )
    for run in (run_id, "gen-20260101-000000-0000", "nonsense", 7):
        app.send_task("dataworks.from_tomorrow", args=(run, 0, 1), queue="dataworks")
    app.send_task("dataworks.from_tomorrow", args=(), queue="dataworks")
    wait_until(lambda: not _messages(fleet), "every message is dropped")
    assert fleet.ledger.progress(run_id).last_error is None


def _messages(fleet: Fleet) -> int:
    return int(fleet.redis.llen("dataworks")) + int(fleet.redis.hlen("unacked"))
