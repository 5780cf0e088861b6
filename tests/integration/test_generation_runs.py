"""Generation runs by the command line, with real workers and servers."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest
from bson import ObjectId
from redis import Redis

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until

TEMPLATE = {
    "name": "events",
    "version": "1.0",
    "schema": {
        "email": {"type": "string", "generator": "email"},
        "age": {"type": "integer", "min": 18, "max": 90},
    },
}


def generate(fleet: Fleet, total: int, collection: str, *more: object) -> dict[str, object]:
    where = ("--database", fleet.database, "--collection", collection)
    return fleet.run_json("generate", "service_order", "--total", total, *where, *more)


def test_the_same_seed_gives_the_same_collection(fleet: Fleet) -> None:
    fleet.start_worker(1)
    generate(fleet, 20_000, "first", "--seed", 7, "--batch-size", 1000)
    fleet.start_worker(1)
    generate(fleet, 20_000, "second", "--seed", 7, "--batch-size", 7777)
    first, second = fleet.raw_documents("first"), fleet.raw_documents("second")
    assert len(first) == 20_000
    assert first == second


def test_a_run_says_what_it_did(fleet: Fleet) -> None:
    fleet.start_worker(1)
    result = generate(fleet, 3000, "orders", "--batch-size", 500)
    assert (result["state"], result["documents"], result["gaps"]) == ("complete", 3000, 0)
    status = fleet.run_json("status", result["run"])
    rate = status["documents_per_second"]
    assert status == {**result, "documents_per_second": rate, "collections": []}
    runs = [json.loads(line) for line in fleet.run("runs", "--json").stdout.splitlines()]
    assert [run["run"] for run in runs] == [result["run"]]


def test_verification_finds_every_difference(fleet: Fleet) -> None:
    fleet.start_worker(1)
    run = generate(fleet, 2000, "orders")["run"]
    assert fleet.run_json("verify", run)["failures"] == 0
    orders = fleet.mongo[fleet.database]["orders"]
    ids = [document["_id"] for document in orders.find({}, {"_id": 1}).sort("_id").limit(30)]
    orders.delete_one({"_id": ids[3]})
    orders.update_one({"_id": ids[11]}, {"$set": {"customer.firstName": "changed"}})
    orders.insert_one({"_id": ObjectId(), "stray": True})
    done = fleet.run("verify", run, "--json", check=False)
    assert done.returncode == 1
    check = json.loads(done.stdout.splitlines()[-1])
    assert check["failures"] == 3
    rows = fleet.run("failures", check["run"]).stdout
    assert str(ids[3]) in rows
    assert "customer.firstName" in next(line for line in rows.splitlines() if str(ids[11]) in line)


def test_a_document_that_cannot_be_generated_is_a_difference(fleet: Fleet) -> None:
    fleet.start_worker(1)
    failing = (140, 150, 151, 160)
    tests = " or ".join(f"_id == {number}" for number in failing)
    template = {"count": 10_000, "content": {
        "_id": {"type": "autoincrement"},
        "sum": {"type": "expr", "expr": f"if({tests}, 9223372036854775807, 0) + _id"},
    }}  # fmt: skip
    path = fleet.folder / "sums.json"
    path.write_text(json.dumps(template))
    done = fleet.run("generate", path, "--database", fleet.database, "--json", check=False)
    run = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, run["documents"], run["failures"]) == (4, 9_996, 4)
    fleet.mongo[fleet.database]["sums"].delete_one({"_id": 145})
    done = fleet.run("verify", run["run"], "--repair", check=False)
    assert done.returncode == 1
    assert done.stdout.count("not repaired: ") == 4
    for number in failing:
        assert f"sums  #{number}  the document cannot be generated: OutOfRange" in done.stdout
    found = {document["_id"] for document in fleet.mongo[fleet.database]["sums"].find()}
    assert found == set(range(10_000)) - set(failing)
    done = fleet.run("verify", run["run"], "--json", check=False)
    assert (done.returncode, json.loads(done.stdout.splitlines()[-1])["failures"]) == (1, 4)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["service_ordr", "--total", "5"], "Did you mean service_order"),
        (["service_order", "--total", "0"], "--total from 1 to"),
        (["service_order", "--total", "-4"], "'--total': must be 0 or more, not '-4'"),
        (["service_order", "--total", "5", "--collection", ""], "--collection is empty"),
        (["service_order", "--total", "5", "--database", ""], "--database is empty"),
        (["service_order", "--total", "10000000000000"], "--total from 1 to"),
        (["missing.json", "--total", "5"], "missing.json"),
        (["shop", "--total", "5"], "Set the counts in the template file"),
        (["shop", "--collection", "x"], "Name the collections in the template file"),
        (["service_order", "--total", "5", "--drop", "--append"], "cannot be combined"),
        (["service_order", "--total", "5", "--write-concern", "all"], "not a write concern"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(
    fleet: Fleet, arguments: list[str], expected: str
) -> None:
    done = fleet.run("generate", *arguments, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr
    assert fleet.ledger.run_ids() == []
    assert fleet.mongo[fleet.database].list_collection_names() == []


def test_a_target_with_documents_needs_a_decision(fleet: Fleet) -> None:
    fleet.start_worker(1)
    generate(fleet, 100, "orders")
    arguments = ("generate", "service_order", "--total", 50, "--collection", "orders")
    done = fleet.run(*arguments, "--database", fleet.database, check=False)
    assert done.returncode == 2
    assert "already holds 100 documents" in done.stderr
    generate(fleet, 50, "orders", "--append")
    assert len(fleet.raw_documents("orders")) == 150
    generate(fleet, 50, "orders", "--drop")
    assert len(fleet.raw_documents("orders")) == 50


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("FRAMEWORK_BROKER_URL", "redis://:pa55word@127.0.0.1:1/0", "Redis at redis://127.0.0.1:1"),
        (
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING",
            "mongodb://u:pa55word@127.0.0.1:1/?serverSelectionTimeoutMS=200",
            "the target database at 127.0.0.1:1 cannot be reached",
        ),
    ],
)
def test_an_unreachable_server_is_named_without_its_password(
    fleet: Fleet, name: str, value: str, expected: str
) -> None:
    fleet.environment[name] = value
    done = fleet.run("generate", "service_order", "--total", 5, check=False)
    assert done.returncode == 2
    assert expected in done.stderr
    assert name in done.stderr
    assert "pa55word" not in done.stdout + done.stderr


def test_a_worker_of_other_servers_refuses_and_the_right_one_does_the_work(fleet: Fleet) -> None:
    wrong = {"FRAMEWORK_TARGET_DB_CONNECTION_STRING": "mongodb://elsewhere.example:27017"}
    fleet.start_worker(1, wrong)
    producer = fleet.start("generate", "service_order", "--total", 2000, "--batch-size", 500)
    run_id = fleet.newest_run()
    wait_until(
        lambda: "elsewhere.example" in (fleet.ledger.progress(run_id).last_error or ""),
        "the refusal is on record",
    )
    assert fleet.ledger.progress(run_id).acknowledged == 0
    fleet.start_worker(1)
    assert producer.wait(60) == 0


def test_pausing_leaves_gaps_and_resuming_fills_them(fleet: Fleet) -> None:
    fleet.start_worker(1)
    producer = fleet.start(
        "generate", "service_order", "--total", "60k", "--batch-size", 200, "--max-rate", 10_000
    )
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.05)
    assert fleet.run_json("pause", run_id)["state"] == "paused"
    assert producer.wait(30) == 3
    progress = fleet.ledger.progress(run_id)
    assert progress.state is RunState.PAUSED
    assert 0 < progress.acknowledged < 60_000
    assert fleet.run_json("resume", run_id)["documents"] == 60_000


def test_the_workers_continue_after_an_interrupt(fleet: Fleet) -> None:
    fleet.start_worker(1)
    arguments = ("--batch-size", 500, "--max-rate", 10_000)
    producer = fleet.start("generate", "service_order", "--total", "30k", *arguments)
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.02)
    producer.send_signal(signal.SIGINT)
    output, _ = producer.communicate(timeout=60)
    assert producer.returncode == 130
    assert f"dataworks pause {run_id}" in output
    assert fleet.ledger.state(run_id) is RunState.RUNNING
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    assert fleet.ledger.progress(run_id).counters["documents"] == 30_000


def test_an_interrupt_says_that_nobody_works_on_the_run(fleet: Fleet) -> None:
    producer = fleet.start("generate", "service_order", "--total", 100)
    wait_until(fleet.waiting, "the run's first message waits")
    producer.send_signal(signal.SIGINT)
    output, _ = producer.communicate(timeout=60)
    assert producer.returncode == 130
    assert re.search("^cause +no worker is running", output, re.MULTILINE)


def test_a_detached_run_is_finished_by_the_workers_alone(fleet: Fleet) -> None:
    arguments = ("generate", "service_order", "--total", 5000, "--batch-size", 500, "--detach")
    run_id = str(fleet.run_json(*arguments)["run"])
    fleet.start_worker(1)
    wait_until(lambda: fleet.ledger.state(run_id) is RunState.COMPLETE, "the run completes")
    assert fleet.run("status", run_id).returncode == 0


def test_documents_that_a_validator_refuses_are_on_record(fleet: Fleet) -> None:
    fleet.start_worker(1)
    fleet.mongo[fleet.database].create_collection(
        "orders", validator={"status": {"$ne": "cancelled"}}
    )
    arguments = ("--database", fleet.database, "--collection", "orders", "--json")
    done = fleet.run("generate", "service_order", "--total", 1000, *arguments, check=False)
    result = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 4
    assert result["failures"] > 0
    assert result["documents"] + result["failures"] == 1000
    rows = fleet.run("failures", result["run"], "--json").stdout.splitlines()
    assert len(rows) == result["failures"]
    assert "Document failed validation" in json.loads(rows[0])["reason"]
    fleet.mongo[fleet.database].command("collMod", "orders", validator={})
    assert fleet.run_json("retry", result["run"])["failures"] == 0
    assert fleet.mongo[fleet.database]["orders"].count_documents({}) == 1000


def test_redis_holds_no_secret(fleet: Fleet, redis_client: Redis, mongodb_url: str) -> None:
    marked = mongodb_url.replace("mongodb://", "mongodb://") + "?appname=pa55word-marker"
    fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"] = marked
    fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"] = marked
    fleet.run("generate", "service_order", "--total", 5000, "--batch-size", 100, "--detach")
    keys = list(redis_client.scan_iter())
    assert keys
    dumps = [redis_client.dump(key) or b"" for key in keys]
    assert not [key for key, dump in zip(keys, dumps, strict=True) if b"pa55word-marker" in dump]
    waiting = fleet.waiting()
    assert waiting
    assert b"mongodb://" not in b"".join(waiting)


def test_the_seed_projects_template_form(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_worker(1)
    path = tmp_path / "template.json"
    path.write_text(json.dumps(TEMPLATE))
    result = fleet.run_json("generate", path, "--total", 5, "--database", fleet.database)
    assert result["documents"] == 5
    documents = list(fleet.mongo[fleet.database]["events"].find())
    assert len(documents) == 5
    assert all("@" in document["email"] for document in documents)
    assert all(18 <= document["age"] <= 90 for document in documents)


def test_two_producers_resume_the_same_run(fleet: Fleet) -> None:
    arguments = ("generate", "service_order", "--total", 20_000, "--batch-size", 1000, "--detach")
    run_id = str(fleet.run_json(*arguments, "--database", fleet.database)["run"])
    both: list[subprocess.Popen[str]] = [fleet.start("resume", run_id) for _ in range(2)]
    fleet.start_worker(2)
    assert [producer.wait(60) for producer in both] == [0, 0]
    progress = fleet.ledger.progress(run_id)
    assert progress.counters["documents"] == 20_000
