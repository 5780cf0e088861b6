"""Metrics of a real run: the collector, its alerts, and a real scrape of the exporter."""

from __future__ import annotations

from typing import Any
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from dataworks_tasks import ConfigManager, MetricsCollector
from dataworks_tasks.errors import UnknownName
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.monitor.alerts import Alert
from tests.fleet import Fleet, wait_until
from tests.support.json_output import check_output

ACCEPT_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def _get(url: str, accept: str = "text/plain") -> str:
    request = Request(url, headers={"Accept": accept})  # noqa: S310 - of this machine
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        text: str = answer.read().decode()
        return text


def _samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("run", sample.labels.get("worker", ""))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_shows_the_fleet(fleet: Fleet) -> None:
    fleet.start_worker(1)
    where = ("--database", fleet.database, "--collection", "orders")
    run: Any = fleet.run_json("generate", "service_order", "--total", 3000, *where)
    exporter = fleet.start("metrics", "--port", 0, "--json")
    assert exporter.stdout is not None
    [address] = check_output(["metrics"], exporter.stdout.readline())
    url = address["url"]
    found = _samples(_get(url))
    assert found["dataworks_run_documents_total", run["run"]] == 3000
    assert found["dataworks_run_bytes_total", run["run"]] == run["bytes"]
    assert found["dataworks_run_gaps", run["run"]] == 0
    assert found["dataworks_ledger_up", ""] == 1
    assert found["dataworks_queue_messages", ""] == 0
    workers = [name for name, _ in found if name == "dataworks_worker_documents_total"]
    assert len(workers) == 1
    families = list(openmetrics(_get(url, ACCEPT_OPENMETRICS)))
    assert "dataworks_run_state" in {family.name for family in families}
    exporter.terminate()
    assert exporter.wait(10) == 0


def test_the_collector_follows_a_run_and_reports_alerts(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**fleet.environment, "FRAMEWORK_ALERT_STALL_SECONDS": "0.5"}.items():
        monkeypatch.setenv(name, value)
    alerts: list[Alert] = []
    with MetricsCollector(ConfigManager().load_config()) as collector:
        collector.add_alert_callback(alerts.append)
        assert collector.get_current_performance().runs == ()
        fleet.start("generate", "service_order", "--total", 20_000, "--max-rate", 10_000)
        run_id = fleet.newest_run()
        wait_until(lambda: alerts, "a run without workers is reported")
        assert (alerts[0]["name"], alerts[0]["run"]) == ("no-worker", run_id)
        assert "no worker is running" in alerts[0]["message"]
        fleet.start_worker(1)
        fleet.wait_for_share(run_id, 0.2)
        now = collector.get_current_performance()
        assert (now.documents_per_second > 0, now.error_rate, now.workers) == (True, 0, 1)
        wait_until(lambda: fleet.ledger.state(run_id) is RunState.COMPLETE, "the run completes")
        end = collector.get_current_performance()
        assert (end.documents, end.runs[0].state) == (20_000, RunState.COMPLETE)
        assert [alert["state"] for alert in alerts if alert["name"] == "no-worker"][-1] == "ended"


def test_a_run_that_is_not_on_record_is_named(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in fleet.environment.items():
        monkeypatch.setenv(name, value)
    collector = MetricsCollector(run_id="gen-none")
    with pytest.raises(UnknownName, match="gen-none"):
        collector.get_current_performance()
    collector.close()
