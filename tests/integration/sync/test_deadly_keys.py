"""A document that kills every worker that reconciles it becomes a failure; all others are equal.

With real workers that die; ``tests/integration/migrate/test_deadly_windows.py`` has more cases.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until

STRATEGY = """
import os, signal
from dataworks_tasks import BaseMigrationStrategy, MigrationStrategyFactory


@MigrationStrategyFactory.register
class Poisonous(BaseMigrationStrategy):
    name = "poisonous"

    def transform_document(self, document):
        if document.get("deadly") and os.environ.get("DEADLY"):
            os.kill(os.getpid(), signal.SIGKILL)
        return document
"""


@pytest.fixture
def deadly_fleet(live_fleet: Fleet, tmp_path: Path) -> Fleet:
    path = tmp_path / "poisonous.py"
    path.write_text(STRATEGY)
    live_fleet.environment |= {
        "FRAMEWORK_PLUGINS": str(path),
        "FRAMEWORK_CLAIM_SECONDS": "1",
        "FRAMEWORK_LATE_WRITE_SECONDS": "1",
    }
    live_fleet.start_worker(1, DEADLY="1")
    orders = live_fleet.mongo[live_fleet.database].orders
    orders.insert_many([{"_id": number, "n": number} for number in range(300)])
    return live_fleet


def start(fleet: Fleet, *more: object) -> str:
    names = ("--include", f"{fleet.database}.orders", "--to", f"{fleet.database}.copies")
    found = fleet.run_json("migrate", *names, "--strategy", "poisonous", *more)
    return str(found["run"])


@pytest.mark.soak
def test_a_deadly_change_is_named_and_the_cut_over_says_so(deadly_fleet: Fleet) -> None:
    fleet = deadly_fleet
    orders, copies = (fleet.mongo[fleet.database][name] for name in ("orders", "copies"))
    run = start(fleet, "--follow", "--detach")
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    orders.update_many({"_id": {"$gte": 100, "$lt": 200}}, {"$inc": {"n": 1000}})
    orders.update_one({"_id": 137}, {"$set": {"deadly": True}})
    wait_until(lambda: list(fleet.ledger.failures(run)), "the document is named", 90)
    (failure,) = fleet.ledger.failures(run)
    assert (failure.document_id, failure.namespace) == ("137", f"{fleet.database}.copies")
    assert failure.reason.startswith("every worker that tried it died")
    changed = {"n": {"$gte": 1000}}
    wait_until(lambda: copies.count_documents(changed) >= 99, "all others are equal", 60)

    checked = fleet.run("cutover", run, "--dry-run", check=False)
    assert (checked.returncode, "1 document could not be written" in checked.stdout) == (1, True)
    assert fleet.run("cutover", run, check=False).returncode == 2
    done = fleet.run("cutover", run, "--quiet", "2s", "--accept-failures")
    assert "1 document is different at the target" in done.stdout
    left = {one["_id"]: one for one in orders.find({"_id": {"$ne": 137}})}
    assert {one["_id"]: one for one in copies.find({"_id": {"$ne": 137}})} == left
    status = fleet.run("status", run, check=False)
    assert status.returncode == 4, "it is complete, but for one document"
    assert "1" in status.stdout
    assert fleet.ledger.progress(run).state is RunState.COMPLETE


@pytest.mark.soak
def test_a_repair_names_a_deadly_document_and_repairs_all_others(deadly_fleet: Fleet) -> None:
    fleet = deadly_fleet
    orders, copies = (fleet.mongo[fleet.database][name] for name in ("orders", "copies"))
    run = start(fleet)
    orders.update_one({"_id": 137}, {"$set": {"deadly": True}})
    copies.delete_many({"_id": {"$gte": 100, "$lt": 160}})
    done = fleet.run("verify", run, "--repair", "--overwrite-changes", check=False)
    assert done.returncode != 0
    repair = fleet.newest_run()
    (failure,) = fleet.ledger.failures(repair)
    assert failure.document_id == "137"
    assert failure.reason.startswith("every worker that tried it died")
    assert fleet.ledger.progress(repair).state is RunState.COMPLETE
    assert {one["_id"] for one in copies.find({})} == set(range(300)) - {137}
    assert f"What still differs: dataworks failures {repair}" in done.stdout
