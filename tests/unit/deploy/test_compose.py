"""docker-compose.yml keeps what it promises.

No Docker engine is needed: where a compose client is on the machine it checks the file against
its schema; everything else is checked here, part by part.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest

from dataworks_tasks import __version__
from dataworks_tasks.settings import ConfigManager
from dataworks_tasks.settings.loader import known_settings
from tests.unit.deploy.compose_file import ROOT, image_command, seconds, services

SERVICES = services()
OURS = ("worker", "flower", "producer", "metrics")
MONITORING = ("metrics", "prometheus", "grafana")
KNOWN_KEYS = {
    *(
        "build",
        "cap_drop",
        "command",
        "depends_on",
        "deploy",
        "env_file",
        "environment",
        "healthcheck",
        "image",
    ),
    *("init", "networks", "ports", "profiles", "read_only", "restart", "security_opt"),
    *("stop_grace_period", "tmpfs", "user", "volumes"),
}
every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def compose_client() -> list[str] | None:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            return command
    return None


def test_compose_accepts_the_file() -> None:
    client = compose_client()
    if client is None:
        pytest.skip("no docker compose here: the tests below check the parts")
    command = [*client, "--file", str(ROOT / "docker-compose.yml"), "--profile", "*", "config"]
    done = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_services_are_those_of_a_fleet() -> None:
    assert list(SERVICES) == ["redis", "mongo", "worker", "flower", "producer", *MONITORING]


@pytest.mark.parametrize("name", MONITORING)
def test_monitoring_is_started_when_asked_for(name: str) -> None:
    assert SERVICES[name]["profiles"] == ["monitoring"]


def test_what_looks_at_metrics_reaches_no_store() -> None:
    for name in ("prometheus", "grafana"):
        assert SERVICES[name]["networks"] == ["outside"]
        assert "env_file" not in SERVICES[name], "their images do not need our secrets"


@every_service
def test_a_service_has_no_more_rights_than_it_needs(service: dict[str, Any]) -> None:
    assert service.keys() <= KNOWN_KEYS
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:")


@every_service
def test_nobody_is_root(service: dict[str, Any]) -> None:
    if "build" in service:
        assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", (ROOT / "Dockerfile").read_text(), re.M)
    else:
        assert service["user"] not in {"root", "0"}


@every_service
def test_images_have_a_version(service: dict[str, Any]) -> None:
    _, _, tag = service["image"].partition(":")
    assert re.match(r"v?\d", tag)
    if "build" in service:
        assert tag == __version__


@pytest.mark.parametrize("name", ["redis", "mongo", "worker", "flower", *MONITORING])
def test_what_stays_up_is_watched_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] in {"unless-stopped", "on-failure:5"}
    check = service["healthcheck"]
    assert check["test"][0] == "CMD", "a shell would hide the exit code of a probe that hangs"
    assert seconds(check["timeout"]) <= seconds(check["interval"])


def test_a_stopped_worker_can_finish_its_task() -> None:
    settings = pytest.importorskip("dataworks_tasks.broker.celery_settings")
    assert seconds(SERVICES["worker"]["stop_grace_period"]) >= settings.TASK_SECONDS + 35


def test_the_worker_scales_and_runs_as_the_image_does() -> None:
    worker = SERVICES["worker"]
    assert worker["command"] == image_command()
    assert "ports" not in worker
    assert worker["deploy"] == {"replicas": 2}


def test_the_producer_is_started_by_hand_only() -> None:
    assert SERVICES["producer"]["profiles"] == ["producer"]
    assert SERVICES["producer"]["restart"] == "no"


@pytest.mark.parametrize("name", OURS)
def test_settings_come_from_files_and_yours_win(name: str) -> None:
    assert SERVICES[name]["env_file"] == [
        "deploy/compose.env",
        {"path": ".env_local", "required": False},
    ]
    assert "environment" not in SERVICES[name]


def test_the_containers_settings_name_the_services() -> None:
    lines = (ROOT / "deploy/compose.env").read_text().splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    values = {name.removeprefix("FRAMEWORK_"): value for name, _, value in pairs}
    assert values.keys() <= {setting.name for setting in known_settings()}
    config = ConfigManager("NOTHING_SET").load_config("none", defaults=values)
    assert config.broker_url.get_secret_value() == "redis://redis:6379/0"
    assert config.target is not None
    assert config.target.fingerprint == "mongo:27017"


def test_the_stores_have_no_password_and_no_way_in() -> None:
    for name in ("redis", "mongo"):
        assert SERVICES[name]["networks"] == ["stores"]
        assert "ports" not in SERVICES[name]
