"""What a worker writes to its log while it works."""

from __future__ import annotations

import json
import os
from signal import SIGTERM
from typing import Any

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until
from tests.support.json_output import check_output


def test_a_worker_logs_each_range_once_as_json(fleet: Fleet) -> None:
    worker = fleet.start_worker(1, {"FRAMEWORK_LOG_FORMAT": "json"})
    fleet.mongo[fleet.database].create_collection(
        "orders", validator={"status": {"$ne": "cancelled"}}
    )
    where = ("--database", fleet.database, "--collection", "orders", "--batch-size", 500)
    done = fleet.run("generate", "service_order", "--total", 2000, *where, "--json", check=False)
    run = json.loads(done.stdout.splitlines()[-1])
    wait_until(lambda: fleet.ledger.state(run["run"]) is RunState.COMPLETE, "the run completes")
    os.kill(worker.pid, SIGTERM)
    wait_until(lambda: "warm shutdown" in worker.site.log_text(), "the worker ends")
    text = worker.site.log_text()
    lines: list[dict[str, Any]] = check_output(["worker"], text)
    assert lines[0]["logger"] in {"py.warnings", "dataworks_tasks.logs"}, "no banner"
    (begins,) = (line for line in lines if line["message"] == "the worker starts")
    assert (begins["queues"], begins["processes"]) == ("dataworks", 1)
    completed = [line for line in lines if line["message"] == "range completed"]
    assert sorted(line["range"] for line in completed) == [
        "[0:500)", "[1000:1500)", "[1500:2000)", "[500:1000)"
    ]  # fmt: skip
    assert {line["run"] for line in completed} == {run["run"]}
    assert sum(line["documents"] for line in completed) == run["documents"]
    failed = [line for line in lines if line["level"] == "WARNING" and "range" in line]
    assert "Document failed validation" in failed[0]["message"]
    assert "they are on record, the rest of the range continued" in failed[0]["message"]
    assert [line["message"] for line in lines if line["message"] == "the run is complete"]
    assert not [line for line in lines if "succeeded" in line["message"]]


def test_a_failed_try_shows_cause_consequence_and_what_comes_next(fleet: Fleet) -> None:
    elsewhere = "mongodb://user:pa55word@elsewhere.example:27017"
    worker = fleet.start_worker(1, {"FRAMEWORK_TARGET_DB_CONNECTION_STRING": elsewhere})
    fleet.start("generate", "service_order", "--total", 100)
    run_id = fleet.newest_run()

    def reported() -> str:
        found = [line for line in worker.site.log_text().splitlines() if "WARNING" in line]
        return found[0] if found else ""

    line = wait_until(reported, "the refusal is logged")
    assert "the run's target is" in line
    assert "the range is left to other workers" in line
    assert f"run={run_id}  range=[0:100)" in line
    assert "pa55word" not in worker.site.log_text()
