"""What commands and the API print is what the documented schema says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from dataworks_tasks.ledger.redis_ledger import RedisLedger
from producer.report.run_report import read_report
from tests.fleet import Fleet
from tests.integration.web.conftest import Serve
from tests.integration.web.test_pages import acknowledge, record_run

SCHEMA = json.loads(Path("producer/view/run.schema.json").read_text())


def check(name: str, value: Any) -> None:
    jsonschema.validate(value, {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def test_the_api_and_the_report_follow_the_schema(ledger: RedisLedger, serve_pages: Serve) -> None:
    run_id = record_run(ledger)
    acknowledge(ledger, run_id, 0, 100)
    visitor = serve_pages()
    check("detail", visitor.ask(f"/api/runs/{run_id}").json)
    for run in visitor.ask("/api/runs").json["runs"]:
        check("run", run)
    report = read_report(ledger, run_id).as_json()
    detail = {name: report[name] for name in SCHEMA["$defs"]["detail"]["properties"]}
    check("detail", detail)


def test_commands_follow_the_schema(fleet: Fleet) -> None:
    fleet.start_worker(1)
    made = fleet.run("generate", "service_order", "--total", 500, "--collection", "o", "--json")
    *lives, run = (json.loads(line) for line in made.stdout.splitlines())
    for live in lives:
        check("live" if "now" in live else "run", live)
    check("run", run)
    watched = json.loads(fleet.run("status", run["run"], "--watch", "--json").stdout)
    check("live", watched)
    check("run", json.loads(fleet.run("status", run["run"], "--json").stdout))
    for line in fleet.run("runs", "--json").stdout.splitlines():
        check("run", json.loads(line))
