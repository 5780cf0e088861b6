"""What commands and the API print is what the documented schema says."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import jsonschema
import pytest

from dataworks_tasks.ledger.contract import WORKING, DocumentFailure, RangeResult, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.batch_range import BatchRange
from producer.report.run_report import read_report
from producer.view.run_summary import summarize, with_differences
from tests.fleet import Fleet
from tests.integration.web.conftest import Serve
from tests.integration.web.test_pages import acknowledge, record_run
from tests.integration.web.test_report import record_verification
from tests.support.json_output import SCHEMA, check_object, check_output
from tests.support.warm_commands import WARM
from tests.unit.docs.reference_tables import commands


def test_the_api_and_the_report_follow_the_schema(ledger: RedisLedger, serve_pages: Serve) -> None:
    run_id = record_run(ledger)
    acknowledge(ledger, run_id, 0, 100)
    failure = DocumentFailure("k", "1", "shop.orders", "too large", "105f69640001000000", 100)
    ledger.record_failures(run_id, [failure, DocumentFailure("l", "2", "shop.orders", "refused")])
    visitor = serve_pages()
    for each in (visitor, serve_pages(hide_keys=True)):
        check_object("detail", each.ask(f"/api/runs/{run_id}").json)
        failures = each.ask(f"/api/runs/{run_id}/failures").json["failures"]
        assert len(failures) == 2
        for one in failures:
            check_object("failure", one)
    check_object("failure", asdict(failure))
    for run in visitor.ask("/api/runs").json["runs"]:
        check_object("run", run)
    check_object("report", read_report(ledger, run_id).as_json())


def test_the_api_says_of_a_verification_what_status_prints(
    ledger: RedisLedger, serve_pages: Serve
) -> None:
    run_id = record_run(ledger)
    verification = record_verification(ledger, run_id)
    found = DocumentFailure(
        "k", "1", "shop.orders", "missing at the target", "105f69640001000000", 1
    )
    result = RangeResult({"documents": 1000, "missing": 1}, (found,))
    ledger.acknowledge(verification, BatchRange(0, 1000), result)
    ledger.change_state(verification, WORKING, RunState.DIFFERENT)
    visitor = serve_pages()
    for each in (run_id, verification):
        spec, progress = ledger.spec(each), ledger.progress(each)
        printed = with_differences(summarize(spec, progress), ledger).as_json()
        shown = visitor.ask(f"/api/runs/{each}").json
        assert shown["collections"] == []
        # A run that works is a little older, and faster or slower, at the second look.
        moving = {"seconds", "documents_per_second", "seconds_left"} if each == run_id else set()
        differing = {
            name for name in printed if shown[name] != json.loads(json.dumps(printed[name]))
        }
        assert differing <= moving
    assert visitor.ask(f"/api/runs/{verification}").json["differences"][0]["count"] == 1


def test_every_command_has_its_objects() -> None:
    with_json = {
        name for name, one in commands() if any("--json" in flag.opts for flag in one.params)
    }
    assert SCHEMA["commands"].keys() == with_json | {"generate --output"}
    assert {name for name, _ in commands()} - with_json == {"completion", "help"}
    named = {one for objects in SCHEMA["commands"].values() for one in objects}
    assert named <= SCHEMA["$defs"].keys()


@pytest.mark.parametrize("name", ["live", "detail", "report", "compared_run"])
def test_a_field_of_a_run_means_the_same_everywhere(name: str) -> None:
    run, other = (SCHEMA["$defs"][one]["properties"] for one in ("run", name))
    named = run.keys() - {"collections"}
    assert [field for field in sorted(named) if other.get(field) != run[field]] == []


def test_an_object_that_is_not_described_is_found() -> None:
    with pytest.raises(KeyError, match="version"):
        check_output(["pause"], '{"run": "x", "state": "paused"}')
    with pytest.raises(jsonschema.ValidationError):
        check_output(
            ["doctor"], '{"name": "redis", "ok": true, "found": "x", "remedy": "", "y": 1}'
        )
    with pytest.raises(jsonschema.ValidationError):
        check_output(["pause"], '{"run_id": "x", "state": "paused"}')
    with pytest.raises(jsonschema.ValidationError):
        check_output(["templates", "check"], '{"template": "shop"}')


@pytest.mark.parametrize(
    "words",
    [
        "templates",
        "templates check shop",
        "templates show shop",
        "templates new mine.json",
        "templates preview shop -n 2 --sample 50",
        "generate service_order --total 3 --output stdout",
        "generate shop --output shop.jsonl",
        "kubernetes-secret",
        "generators",
        "strategies",
        "profiles",
        "profiles data-ingest",
        "plan service_order --total 1k",
        "worker-health",
    ],
)
def test_commands_without_a_server_follow_the_schema(words: str, tmp_path: Path) -> None:
    arguments = words.split()
    done = WARM.run([*arguments, "--json"], {"PATH": "/usr/bin", "HOME": "/"}, tmp_path, 60)
    assert done.returncode == 0 or words == "worker-health", done.stderr
    check_output(arguments, done.stdout)


def test_commands_follow_the_schema(fleet: Fleet) -> None:
    """``Fleet.run`` checks each line that a command prints with ``--json``."""
    fleet.start_worker(1)
    run = fleet.run_json("generate", "service_order", "--total", 500, "--collection", "o")
    check_object("run", run)
    check_object("live", fleet.run_json("status", run["run"], "--watch"))
    check_object("run", fleet.run_json("status", run["run"]))
    copy = ("--include", f"{fleet.database}.o", "--to", f"{fleet.database}.p")
    check_object("assessment", fleet.run_json("migrate", "--dry-run", "--measure", 0.5, *copy))
    check_object("migration_plan", fleet.run_json("plan", "--measure", 0.5, *copy))
    for name, arguments in {"runs": (), "report": (run["run"],), "verify": (run["run"],)}.items():
        fleet.run_json(name, *arguments)
    fleet.run("failures", run["run"], "--json")
    migrated = fleet.run_json("migrate", *copy)["run"]
    fleet.run_json("indexes", migrated)
    for name, arguments in {"status": ("--watch",), "verify": (), "report": ()}.items():
        fleet.run_json(name, migrated, *arguments)
    detached = fleet.run_json(
        *("generate", "service_order", "--total", "1M", "--max-rate", 100),
        *("--collection", "q", "--detach"),
    )["run"]
    fleet.run_json("rate", detached, "--max-rate", 200)
    fleet.run_json("pause", detached)
    assert fleet.run_json("resume", detached, "--detach") == {"version": 1, "run": detached}
    fleet.run_json("cancel", detached)
    assert fleet.run("doctor", "--json", check=False).stdout
    fleet.run_json("runs", "--prune", "1s")


def test_a_retry_follows_the_schema(fleet: Fleet) -> None:
    fleet.start_worker(1)
    fleet.mongo[fleet.database].create_collection("v", validator={"never": {"$exists": True}})
    made = fleet.run(
        *("generate", "service_order", "--total", 20, "--collection", "v", "--json"), check=False
    )
    [failed] = check_output(["generate"], made.stdout)
    assert failed["failures"] == 20
    fleet.run("failures", failed["run"], "--json")
    fleet.mongo[fleet.database].command("collMod", "v", validator={})
    last = fleet.run_json("retry", failed["run"])
    assert (last["run"], last["failures"]) == (failed["run"], 0)
