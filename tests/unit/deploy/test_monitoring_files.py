"""Prometheus accepts its configuration and rules, and they name metrics that there are."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from tests.support.platform_tools import require_tool
from tests.unit.deploy.compose_file import ROOT, services

FOLDER = ROOT / "deploy/monitoring"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
PAGE = (ROOT / "docs/monitoring.md").read_text()


def test_prometheus_accepts_its_files() -> None:
    promtool = require_tool("promtool")
    for arguments in (["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"]):
        done = subprocess.run(
            [promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_lag_is_an_alert_once_it_lasts(tmp_path: Path) -> None:
    promtool = require_tool("promtool")
    rule = {"alertname": "DataWorksBehindSource", "severity": "warning", "run": "mig-1"}
    expected = [
        {"eval_time": "9m", "alertname": rule["alertname"], "exp_alerts": []},
        {
            "eval_time": "16m",
            "alertname": rule["alertname"],
            "exp_alerts": [
                {
                    "exp_labels": {name: rule[name] for name in ("severity", "run")},
                    "exp_annotations": {
                        "summary": "run mig-1 is 10m 0s behind its source",
                        "description": "More workers, or a larger --max-rate, catch up: "
                        "dataworks status mig-1",
                    },
                }
            ],
        },
    ]
    series = [
        {"series": 'dataworks_run_lag_seconds{run="mig-1"}', "values": "0x9 600x10"},
        {"series": 'dataworks_run_lag_seconds{run="mig-2"}', "values": "300x20"},
    ]
    tests = {
        "rule_files": [str(FOLDER / "alerts.yml")],
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": expected}],
    }
    (tmp_path / "lag.yml").write_text(yaml.safe_dump(tests))
    done = subprocess.run(
        [promtool, "test", "rules", "lag.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_of_a_rule_is_on_the_page() -> None:
    known = {*re.findall(r"^\| `(dataworks_\w+)`", PAGE, re.MULTILINE), "up"}
    for rule in RULES:
        metrics = set(re.findall(r"^\w+", rule["expr"]))
        assert metrics <= known, rule["alert"]
        assert {"summary", "description"} <= rule["annotations"].keys()


def test_compose_mounts_the_rules_where_the_configuration_looks() -> None:
    mounted = {volume.split(":")[1] for volume in services()["prometheus"]["volumes"]}
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    for name in config["rule_files"]:
        assert f"/etc/prometheus/{name}" in mounted
