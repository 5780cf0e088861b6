"""What commands and the API print is what the documented schema says."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from producer.cli import COMMANDS
from producer.report.run_report import read_report
from tests.fleet import Fleet
from tests.integration.web.conftest import Serve
from tests.integration.web.test_pages import acknowledge, record_run
from tests.support.warm_commands import WARM

SCHEMA = json.loads(Path("producer/view/run.schema.json").read_text())


def check(name: str, value: Any) -> None:
    jsonschema.validate(value, {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def test_the_api_and_the_report_follow_the_schema(ledger: RedisLedger, serve_pages: Serve) -> None:
    run_id = record_run(ledger)
    acknowledge(ledger, run_id, 0, 100)
    failure = DocumentFailure("k", "1", "shop.orders", "too large", "105f69640001000000", 100)
    ledger.record_failures(run_id, [failure, DocumentFailure("l", "2", "shop.orders", "refused")])
    visitor = serve_pages()
    for each in (visitor, serve_pages(hide_keys=True)):
        check("detail", each.ask(f"/api/runs/{run_id}").json)
        failures = each.ask(f"/api/runs/{run_id}/failures").json["failures"]
        assert len(failures) == 2
        for one in failures:
            check("failure", one)
    check("failure", asdict(failure))
    for run in visitor.ask("/api/runs").json["runs"]:
        check("run", run)
    check("report", read_report(ledger, run_id).as_json())


def check_command(name: str, text: str) -> list[Any]:
    """Check each line against the objects that the schema says the command prints."""
    objects = [SCHEMA["$defs"][one] for one in SCHEMA["commands"][name]]
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        jsonschema.validate(line, {"anyOf": objects, "$defs": SCHEMA["$defs"]})
        assert "run_id" not in line
    return lines


def test_every_command_has_its_objects() -> None:
    assert SCHEMA["commands"].keys() == COMMANDS.keys() - {"completion", "help"}
    named = {one for objects in SCHEMA["commands"].values() for one in objects}
    assert named <= SCHEMA["$defs"].keys()


@pytest.mark.parametrize("name", ["live", "detail", "report", "compared_run"])
def test_a_field_of_a_run_means_the_same_everywhere(name: str) -> None:
    run, other = (SCHEMA["$defs"][one]["properties"] for one in ("run", name))
    assert [
        field for field in other.keys() & run.keys() - {"collections"} if other[field] != run[field]
    ] == []


def test_an_object_that_is_not_described_is_found() -> None:
    with pytest.raises(jsonschema.ValidationError):
        check_command("doctor", '{"name": "redis", "ok": true, "found": "x", "remedy": "", "y": 1}')
    with pytest.raises(jsonschema.ValidationError):
        check_command("pause", '{"run_id": "x", "state": "paused"}')


@pytest.mark.parametrize(
    "words",
    [
        "templates",
        "templates check shop",
        "generators",
        "strategies",
        "profiles",
        "profiles data-ingest",
        "plan service_order --total 1k",
        "worker-health",
    ],
)
def test_commands_without_a_server_follow_the_schema(words: str, tmp_path: Path) -> None:
    done = WARM.run([*words.split(), "--json"], {"PATH": "/usr/bin", "HOME": "/"}, tmp_path, 60)
    check_command(words.split(maxsplit=1)[0], done.stdout)


def test_commands_follow_the_schema(fleet: Fleet) -> None:
    fleet.start_worker(1)
    made = fleet.run("generate", "service_order", "--total", 500, "--collection", "o", "--json")
    run = check_command("generate", made.stdout)[-1]
    check("run", run)
    watched = fleet.run("status", run["run"], "--watch", "--json")
    check("live", json.loads(watched.stdout))
    check("run", json.loads(fleet.run("status", run["run"], "--json").stdout))
    copy = ("--include", f"{fleet.database}.o", "--to", f"{fleet.database}.p")
    plans = {
        "migrate": ("--dry-run", "--measure", 0.5, *copy),
        "plan": ("--measure", 0.5, *copy),
        "runs": (),
        "failures": (run["run"],),
        "report": (run["run"],),
        "verify": (run["run"],),
    }
    for name, arguments in plans.items():
        done = fleet.run(name, *arguments, "--json", check=False)
        lines = check_command(name, done.stdout)
        assert lines or name == "failures", done.stderr
    migrated = check_command("migrate", fleet.run("migrate", *copy, "--json").stdout)[-1]["run"]
    check_command("indexes", fleet.run("indexes", migrated, "--json").stdout)
    started = fleet.run(
        *("generate", "service_order", "--total", "1M", "--max-rate", 100),
        *("--collection", "q", "--detach", "--json"),
    )
    [detached] = check_command("generate", started.stdout)
    limited = fleet.run("rate", detached["run"], "--max-rate", 200, "--json").stdout
    assert check_command("rate", limited)
    check_command("pause", fleet.run("pause", detached["run"], "--json").stdout)
    [resumed] = check_command(
        "resume", fleet.run("resume", detached["run"], "--detach", "--json").stdout
    )
    assert resumed["run"] == detached["run"]
    check_command("cancel", fleet.run("cancel", detached["run"], "--json").stdout)
    assert check_command("doctor", fleet.run("doctor", "--json", check=False).stdout)
    check_command("runs", fleet.run("runs", "--prune", "1s", "--json").stdout)


def test_a_retry_follows_the_schema(fleet: Fleet) -> None:
    fleet.start_worker(1)
    fleet.mongo[fleet.database].create_collection("v", validator={"never": {"$exists": True}})
    made = fleet.run(
        *("generate", "service_order", "--total", 20, "--collection", "v", "--json"), check=False
    )
    [failed] = check_command("generate", made.stdout)
    assert failed["failures"] == 20
    fleet.mongo[fleet.database].command("collMod", "v", validator={})
    retried = fleet.run("retry", failed["run"], "--json", check=False)
    *_, last = check_command("retry", retried.stdout)
    assert (last["run"], last["failures"]) == (failed["run"], 0)
