"""A real Prometheus reads the exporter with our configuration, and one of our alerts fires."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from redis import Redis

from dataworks_tasks.ledger.contract import WORKING, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.results import RangeResult
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.runs.batch_range import BatchRange
from producer.local.service_definition import free_port
from tests.contract.contract_support import generation_spec
from tests.fleet import wait_until
from tests.support.platform_tools import require_tool
from tests.unit.deploy.compose_file import ROOT

MONITORING = ROOT / "deploy/monitoring"


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query."""
        with urlopen(f"{self._url}/api/v1/query?{urlencode({'query': expression})}") as answer:  # noqa: S310
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def is_ready(self) -> bool:
        """Whether it answers questions."""
        try:
            with urlopen(f"{self._url}/-/ready") as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def prometheus(folder: Path, exporter: str) -> Iterator[Prometheus]:
    """Start it with the files of deploy/monitoring, at the exporter's address and in a hurry."""
    config = (MONITORING / "prometheus.yml").read_text()
    assert "metrics:9464" in config
    for before, after in (("metrics:9464", exporter), ("5s", "1s"), ("4s", "900ms")):
        config = config.replace(before, after)
    (folder / "prometheus.yml").write_text(config)
    (folder / "alerts.yml").write_text((MONITORING / "alerts.yml").read_text())
    port = free_port()
    process = subprocess.Popen(
        [
            require_tool("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        wait_until(server.is_ready, "Prometheus is ready")
        yield server
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output


def test_prometheus_reads_the_exporter_and_an_alert_fires(
    redis_client: Redis, redis_url: str, tmp_path: Path
) -> None:
    """A run that nobody works on; then it is acknowledged, and the alert is over."""
    require_tool("prometheus")
    ledger = RedisLedger(redis_client)
    spec = generation_spec(3000)
    ledger.create(spec, 3000, "dataworks", ["watch"])
    settings = {"FRAMEWORK_BROKER_URL": redis_url, "FRAMEWORK_ALERT_STALL_SECONDS": "0.2"}
    with exporter(settings) as address, prometheus(tmp_path, address) as server:
        firing = f'ALERTS{{alertname="DataWorksRunAlert",alertstate="firing",run="{spec.run_id}"}}'
        [alert] = wait_until(lambda: server.query(firing), "no worker runs: an alert fires")
        assert alert["metric"]["alert"] == "no-worker"
        assert alert["metric"]["severity"] == "warning"
        assert server.query("up")[0]["value"][1] == "1"
        assert not server.query('ALERTS{alertname="DataWorksLedgerDown"}')
        ledger.acknowledge(
            spec.run_id, BatchRange(0, 3000), RangeResult({RunCounter.DOCUMENTS: 3000})
        )
        ledger.change_state(spec.run_id, WORKING, RunState.COMPLETE)
        documents = f'dataworks_run_documents_total{{run="{spec.run_id}"}} == 3000'
        wait_until(lambda: server.query(documents), "Prometheus has the run's documents")
        wait_until(lambda: not server.query(firing), "the alert ends")


@contextmanager
def exporter(settings: Mapping[str, str]) -> Iterator[str]:
    """Run ``dataworks metrics``; yields HOST:PORT."""
    process = subprocess.Popen(
        [sys.executable, "-m", "producer", "metrics", "--port", "0", "--json"],
        env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"].split("/")[2]
    finally:
        process.terminate()
        process.communicate(timeout=20)
