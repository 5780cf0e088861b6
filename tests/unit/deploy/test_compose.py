"""docker-compose.yml keeps what it promises.

No Docker engine is needed: Compose itself checks the file against its schema, and everything else
is checked here, part by part.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dataworks_tasks import __version__
from dataworks_tasks.errors import UsageError
from dataworks_tasks.settings import ConfigManager
from dataworks_tasks.settings.setting_names import known_settings
from producer.web.options import RequestedOptions, check_options
from tests.support.platform_tools import require_tool
from tests.unit.deploy.compose_file import ROOT, image_command, seconds, services

SERVICES = services()
OURS = ("worker", "flower", "web", "producer", "metrics")
MONITORING = ("metrics", "prometheus", "grafana")
REPLACED_AT_MB = 600
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


def compose(folder: Path, *arguments: str) -> str:
    """Run Compose, which needs no engine to read its files."""
    command = [require_tool("docker-compose"), "--project-directory", str(folder)]
    done = subprocess.run(
        [*command, "--file", str(folder / "docker-compose.yml"), "--profile", "*", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_compose_accepts_the_file() -> None:
    compose(ROOT, "config", "--quiet")


HARD_PASSWORD = """p$HOME $$x #"y"\\n"""


def test_compose_and_dataworks_read_single_quotes_alike(tmp_path: Path) -> None:
    """As .env_local.example says; without quotes they differ."""
    (tmp_path / "docker-compose.yml").write_bytes((ROOT / "docker-compose.yml").read_bytes())
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/compose.env").write_bytes((ROOT / "deploy/compose.env").read_bytes())
    (tmp_path / ".env_local").write_text(
        f"FRAMEWORK_WEB_PASSWORD='{HARD_PASSWORD}'\nFRAMEWORK_WEB_TOKEN=bare$HOME-token\n"
    )
    config = ConfigManager().load_config(tmp_path / ".env_local")
    found = json.loads(compose(tmp_path, "config", "--format", "json"))
    environment = found["services"]["web"]["environment"]
    # Compose doubles the $ of what it prints, so that it can be read again.
    in_container = environment["FRAMEWORK_WEB_PASSWORD"].replace("$$", "$")
    assert config.web_password is not None
    assert in_container == config.web_password.get_secret_value() == HARD_PASSWORD
    assert config.web_token is not None
    assert environment["FRAMEWORK_WEB_TOKEN"] != config.web_token.get_secret_value()


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_a_service_cannot_take_the_machine(service: dict[str, Any]) -> None:
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} == limits.keys()


def test_a_worker_has_memory_for_its_processes() -> None:
    processes = int(compose_settings()["GENERATION_WORKERS"])
    limit = SERVICES["worker"]["deploy"]["resources"]["limits"]
    assert int(limit["memory"].removesuffix("G")) * 1000 >= processes * REPLACED_AT_MB + 400
    assert float(limit["cpus"]) >= processes


def test_the_page_asks_for_its_password_and_answers_to_this_machine() -> None:
    """The command starts with a password in the settings, and not without."""
    command = SERVICES["web"]["command"]
    assert command[:2] == ["dataworks", "web"]
    requested = RequestedOptions(
        listen=command[2].removeprefix("--listen="),
        behind_tls_proxy="--behind-tls-proxy" in command,
        allowed_hosts=[w.partition("=")[2] for w in command if w.startswith("--allowed-host=")],
    )
    manager = ConfigManager("NOTHING_SET")
    with pytest.raises(UsageError, match="FRAMEWORK_WEB_PASSWORD"):
        check_options(requested, manager.load_config("none"))
    config = manager.load_config("none", overrides={"WEB_PASSWORD": "a long password"})
    options = check_options(requested, config)
    assert options.is_protected
    assert options.hosts == {"0.0.0.0", "localhost"}  # noqa: S104
    assert SERVICES["web"]["ports"] == ["127.0.0.1:8090:8090"]


def test_the_services_are_those_of_a_fleet() -> None:
    assert list(SERVICES) == ["redis", "mongo", "worker", "flower", "web", "producer", *MONITORING]


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


@pytest.mark.parametrize("name", ["redis", "mongo", "worker", "flower", "web", *MONITORING])
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
    assert worker["deploy"]["replicas"] == 2


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


def compose_settings() -> dict[str, str]:
    lines = (ROOT / "deploy/compose.env").read_text().splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name.removeprefix("FRAMEWORK_"): value for name, _, value in pairs}


def test_the_containers_settings_name_the_services() -> None:
    values = compose_settings()
    assert values.keys() <= {setting.name for setting in known_settings()}
    config = ConfigManager("NOTHING_SET").load_config("none", defaults=values)
    assert config.broker_url.get_secret_value() == "redis://redis:6379/0"
    assert config.target is not None
    assert config.target.fingerprint == "mongo:27017"


def test_the_stores_have_no_password_and_no_way_in() -> None:
    for name in ("redis", "mongo"):
        assert SERVICES[name]["networks"] == ["stores"]
        assert "ports" not in SERVICES[name]
