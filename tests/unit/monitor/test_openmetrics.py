"""The exporter's names, and that the dashboard uses no other."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import fakeredis
import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from dataworks_tasks.ledger.contract import RangeResult, RunState, WorkerReport
from dataworks_tasks.ledger.keys import RunKeys
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.worker_registry import LivingWorker
from dataworks_tasks.monitor.alerts import Alert
from dataworks_tasks.monitor.openmetrics import LedgerCollector
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationJob, GenerationPart, RunSpec

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "deploy/monitoring"
RUN = "gen-20260101-000000-0000"
ALERT: Alert = {"name": "stall", "state": "raised", "run": RUN, "message": "", "value": 1.0,
                "limit": 1.0, "at": ""}  # fmt: skip


def _ledger(redis: fakeredis.FakeRedis | None = None) -> RedisLedger:
    part = GenerationPart(namespace=Namespace("a", "b"), position=0, first=0, count=100)
    job = GenerationJob(name="x", seed=1, parts=(part,), probe_digest="")
    ledger = RedisLedger(redis or fakeredis.FakeRedis())
    ledger.create(
        RunSpec(run_id=RUN, created_at=datetime.now(UTC), batch_size=10, target_fingerprint="h",
                job=job), 100)  # fmt: skip
    counters = {"documents": 40, "bytes": 400, "waited_milliseconds": 1500}
    report = WorkerReport("vm:1", datetime.now(UTC).timestamp(), 40, 1_000_000)
    ledger.acknowledge(RUN, BatchRange(0, 40), RangeResult(counters), report)
    return ledger


def _exported(ledger: RedisLedger) -> dict[str, dict[tuple[str, ...], float]]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(ledger, lambda: [ALERT], lambda: (12, 3)))
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_the_exporter_says_what_the_ledger_holds() -> None:
    found = _exported(_ledger())
    assert found["dataworks_run_documents_total"] == {(RUN,): 40}
    assert found["dataworks_run_waited_seconds_total"] == {(RUN,): 1.5}
    assert found["dataworks_run_gaps"] == {(RUN,): 1}
    assert found["dataworks_run_state"] == {(RUN, "running"): 1}
    assert found["dataworks_worker_documents_total"] == {("vm:1",): 40}
    assert found["dataworks_alert_active"] == {("stall", RUN): 1}
    assert found["dataworks_queue_messages"] == {("waiting",): 12, ("in_hand",): 3}


def test_processes_that_ended_or_were_replaced_are_left_out() -> None:
    """The dashboard counts them, and shows the memory of each."""
    ledger, now = _ledger(), datetime.now(UTC).timestamp()
    ledger.windows.open(RUN, "dataworks", 10, 2)
    ledger.workers.enter(LivingWorker("vm", "w@vm", ("dataworks",), "prefork", 1, 0.0, "1"))
    for number, name in enumerate(("gone:7", "vm:2"), 4):
        report = WorkerReport(name, now + number, 10, 1_000_000)
        done = BatchRange(10 * number, 10 * number + 10)
        ledger.acknowledge(RUN, done, RangeResult({}), report)
    found = _exported(ledger)
    assert found["dataworks_workers"] == {(): 1}
    assert found["dataworks_worker_peak_memory_bytes"].keys() == {("vm:2",)}
    assert found["dataworks_worker_last_report_timestamp_seconds"].keys() == {("vm:2",)}


def test_a_run_that_ended_long_ago_is_left_out() -> None:
    redis = fakeredis.FakeRedis()
    ledger = _ledger(redis)
    ledger.change_state(RUN, frozenset({RunState.RUNNING}), RunState.CANCELLED)
    assert "dataworks_run_state" in _exported(ledger)
    redis.hset(RunKeys(RUN).record, "finished_at", "1000000000")
    assert "dataworks_run_state" not in _exported(ledger)


def test_without_redis_there_is_only_that_it_is_not_up() -> None:
    server = fakeredis.FakeServer()
    server.connected = False
    found = _exported(RedisLedger(fakeredis.FakeRedis(server=server)))
    assert found["dataworks_ledger_up"] == {(): 0}
    assert "dataworks_run_state" not in found


def test_the_dashboard_uses_names_that_exist() -> None:
    dashboard = json.loads((MONITORING / "grafana/dashboards/dataworks.json").read_text())
    texts = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    texts += [variable["query"]["query"] for variable in dashboard["templating"]["list"]]
    used = {name for text in texts for name in re.findall(r"dataworks_\w+", text)}
    assert len(used) > 10
    assert used <= _exported(_ledger()).keys()


def test_every_metric_is_in_the_docs() -> None:
    page = (ROOT / "docs/monitoring.md").read_text()
    names = {name.removesuffix("_total") for name in _exported(_ledger())}
    assert [name for name in sorted(names) if f"`{name}" not in page] == []


@pytest.mark.parametrize("kind", ["datasources", "dashboards"])
def test_grafana_finds_what_it_is_given(kind: str) -> None:
    files = list((MONITORING / "grafana" / kind).glob("*.yaml"))
    assert len(files) == 1
    found = yaml.safe_load(files[0].read_text())
    if kind == "dashboards":
        assert found["providers"][0]["options"]["path"] == "/etc/grafana/provisioning/dashboards"
    else:
        assert found["datasources"][0]["uid"] == "prometheus"
        assert found["datasources"][0]["url"] == "http://prometheus:9090"


def test_prometheus_scrapes_the_exporter() -> None:
    found = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    assert found["scrape_configs"][0]["static_configs"][0]["targets"] == ["metrics:9464"]
