"""A document that kills every worker becomes a failure; the rest of its range is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet

POISON = """
import os, signal
from dataworks_tasks import BaseDataGenerator, GeneratorType


class Poisonous(BaseDataGenerator):
    name = "poisonous"
    generator_type = GeneratorType.CUSTOM

    def generate_document(self, document_id):
        if document_id == 137 and os.environ.get("DEADLY"):
            os.kill(os.getpid(), signal.SIGKILL)
        return {"_id": document_id, "number": document_id}
"""


def test_a_document_that_kills_workers_becomes_a_failure(fleet: Fleet, tmp_path: Path) -> None:
    path = tmp_path / "poisonous.py"
    path.write_text(POISON)
    fleet.environment["FRAMEWORK_PLUGINS"] = str(path)
    fleet.start_worker(2, {"DEADLY": "1"})
    place = ("--database", fleet.database, "--collection", "orders", "--batch-size", 10)
    run_id = str(fleet.run_json("generate", "poisonous", "--total", 150, *place, "--detach")["run"])
    fleet.wait_for_state(run_id, RunState.COMPLETE, 90)
    (failure,) = fleet.ledger.failures(run_id)
    assert (failure.document_id, "died" in failure.reason) == ("#137", True)
    written = {item["_id"] for item in fleet.mongo[fleet.database]["orders"].find()}
    assert written == set(range(150)) - {137}
    assert fleet.run("status", run_id, check=False).returncode == 4
    check_verification(fleet, run_id, {"#137"})


def check_verification(fleet: Fleet, run_id: str, deadly: set[str]) -> None:
    """Verify with the same workers: they die of the same documents, which are named."""
    assert fleet.run("verify", run_id, check=False).returncode == 1
    verification = fleet.newest_run()
    failures = list(fleet.ledger.failures(verification))
    assert {failure.document_id for failure in failures} == deadly
    assert all(failure.reason.startswith("not compared: every worker") for failure in failures)
    progress = fleet.ledger.progress(verification)
    assert (progress.state, progress.differences) == (RunState.DIFFERENT, len(deadly))
    assert progress.gaps == 0, "all others were compared"


STRATEGY = """
import os, signal
from dataworks_tasks import BaseMigrationStrategy
from dataworks_tasks.migrate.factory import MigrationStrategyFactory


@MigrationStrategyFactory.register
class Poisonous(BaseMigrationStrategy):
    name = "poisonous"

    def transform_document(self, document):
        if document["_id"] in (137, 299) and os.environ.get("DEADLY"):
            os.kill(os.getpid(), signal.SIGKILL)
        document["copied"] = True
        return document
"""


def test_documents_of_slices_that_kill_workers_become_failures(
    fleet: Fleet, tmp_path: Path
) -> None:
    """One in the middle and the last one of a slice; everything else is copied once."""
    path = tmp_path / "poisonous.py"
    path.write_text(STRATEGY)
    source = fleet.mongo[fleet.database]
    source["orders"].insert_many([{"_id": number, "copied": False} for number in range(600)])
    fleet.environment["FRAMEWORK_PLUGINS"] = str(path)
    fleet.start_worker(2, {"DEADLY": "1"})
    run_id = str(
        fleet.run_json("migrate", "--include", f"{fleet.database}.orders", "--to",
                       f"{fleet.database}.copies", "--strategy", "poisonous",
                       "--batch-size", 300, "--detach")["run"]
    )  # fmt: skip
    fleet.wait_for_state(run_id, RunState.COMPLETE, 90)
    failures = list(fleet.ledger.failures(run_id))
    assert {failure.document_id for failure in failures} == {"137", "299"}
    assert all("died" in failure.reason for failure in failures)
    copies = list(source["copies"].find())
    assert {one["_id"] for one in copies} == set(range(600)) - {137, 299}
    assert all(one["copied"] for one in copies)
    progress = fleet.ledger.progress(run_id)
    assert progress.counters["read"] == 600
    assert progress.counters["written"] == 598, "what was recorded is not done again"
    check_verification(fleet, run_id, {"137", "299"})


@pytest.mark.parametrize("pool", ["threads"])
def test_pools_that_share_a_process_are_refused_by_name(fleet: Fleet, pool: str) -> None:
    command = [sys.executable, "-m", "celery", "-A", "dataworks_tasks", "worker", "--pool", pool]
    environment = fleet.process_environment()
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert f"the pool '{pool}' is not supported" in done.stderr


def test_a_solo_worker_does_a_run_alone(fleet: Fleet) -> None:
    fleet.start_worker(1, arguments=("--pool", "solo"))
    result = fleet.run_json("generate", "service_order", "--total", 3000, "--batch-size", 500,
                            "--database", fleet.database, "--collection", "orders")  # fmt: skip
    assert (result["state"], result["documents"]) == ("complete", 3000)
