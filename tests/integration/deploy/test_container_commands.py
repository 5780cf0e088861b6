"""The commands of docker-compose.yml, word for word, against real servers."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from pathlib import Path
from signal import SIGKILL, SIGSTOP
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import redis

from dataworks_tasks.worker.liveness import living_workers
from producer.local.binaries import MONGOD, VALKEY, find_binary
from producer.local.child_command import ChildCommand, StopPolicy
from producer.local.probe import redis_answers, run_mongo_command
from producer.local.service_definition import LOOPBACK, ServiceSite, system_environment
from producer.local.services import LocalServices
from tests.integration.deploy.container_command import ContainerCommand, container_environment
from tests.unit.deploy.compose_file import as_container_sees, services

AUTH = "someone:something"


@pytest.fixture
def settings(redis_url: str, mongodb_url: str) -> dict[str, str]:
    return {
        "FRAMEWORK_BROKER_URL": redis_url,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": mongodb_url,
        "FRAMEWORK_GENERATION_WORKERS": "1",
    }


def test_a_worker_gets_ready_is_healthy_and_leaves_on_sigterm(
    local_services: LocalServices, settings: dict[str, str], tmp_path: Path
) -> None:
    environment = container_environment(settings, tmp_path)
    worker = ContainerCommand("worker", environment, ready_line=" ready.")
    assert worker.health().returncode == 1
    service = local_services.start(worker)[0]
    try:
        done = worker.health()
        assert done.returncode == 0, done.stderr
        assert f"pid {service.pid}): OK" in done.stdout
    finally:
        code = local_services.stop(worker.name)
    assert code == 0
    assert worker.health().returncode == 1


def test_a_worker_with_a_hanging_event_loop_is_found(
    local_services: LocalServices, settings: dict[str, str], tmp_path: Path
) -> None:
    environment = container_environment(settings, tmp_path)
    worker = ContainerCommand("worker", environment, ready_line=" ready.")
    service = local_services.start(worker)[0]
    try:
        os.kill(service.pid, SIGSTOP)
        folder = tmp_path / f"dataworks-{os.getuid()}"
        [file] = folder.glob("*.json")
        long_ago = file.stat().st_mtime - 100
        os.utime(file, (long_ago, long_ago))
        done = worker.health()
        assert done.returncode == 1
        assert "hangs" in done.stdout
        assert living_workers(folder)[0].age_seconds > 90
    finally:
        local_services.stop(worker.name, SIGKILL)


def test_a_worker_without_root_writes_nothing_but_its_tmp(
    local_services: LocalServices, settings: dict[str, str], tmp_path: Path
) -> None:
    """What a read-only root file system needs: only /tmp is written."""
    environment = container_environment(settings, tmp_path)
    worker = ContainerCommand("worker", environment, ready_line=" ready.")
    service = local_services.start(worker)[0]
    try:
        assert list(service.site.data.iterdir()) == []
        written = [path.name for path in tmp_path.rglob("*") if path.is_file()]
        assert len(written) == 1, written
    finally:
        local_services.stop(worker.name)


def test_flower_asks_for_a_password(
    local_services: LocalServices, settings: dict[str, str], tmp_path: Path
) -> None:
    environment = container_environment({**settings, "FLOWER_BASIC_AUTH": AUTH}, tmp_path)
    flower = ContainerCommand("flower", environment)
    service = local_services.start(flower)[0]
    try:
        assert status(f"{service.url}/", None) == 401
        assert status(f"{service.url}/api/workers", None) == 401
        assert status(f"{service.url}/", AUTH) == 200
        assert status(f"{service.url}/healthcheck", None) == 200
        done = flower.health(service.site.port)
        assert done.returncode == 0, done.stderr
        assert AUTH not in service.site.log_text()
    finally:
        local_services.stop(flower.name)
    assert flower.health(service.site.port).returncode != 0


def test_flower_without_a_password_does_not_start(settings: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        as_container_sees(services()["flower"]["command"]),
        env=container_environment(settings, tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert "set it in .env_local" in done.stderr


def status(url: str, auth: str | None) -> int:
    headers = {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"} if auth else {}
    try:
        with urlopen(Request(url, headers=headers), timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except HTTPError as error:
        return error.code


class _Store:
    """A server with the arguments that compose gives it, and a place and port of ours."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.name = f"compose-{service}"

    def command(self, site: ServiceSite) -> ChildCommand:
        _, *words = services()[self.service]["command"]
        program = find_binary(VALKEY if self.service == "redis" else MONGOD).path
        words = [word for word in words if word != "--bind_ip_all"]
        place = {
            "redis": ["--port", str(site.port), "--dir", str(site.data), "--bind", LOOPBACK],
            "mongo": ["--port", str(site.port), "--dbpath", str(site.data)],
        }[self.service]
        return ChildCommand(
            name=self.name,
            arguments=(str(program), *words, *place),
            environment=system_environment(),
            folder=site.data,
            log=site.log,
            stop=StopPolicy(stage=1, grace_seconds=20.0),
        )

    def is_ready(self, site: ServiceSite) -> bool:
        if self.service == "redis":
            return redis_answers(site.port)
        return run_mongo_command(site.port, {"ping": 1}) is not None

    def url(self, site: ServiceSite) -> str:
        return f"{self.service}://{LOOPBACK}:{site.port}"


def test_redis_keeps_everything_and_evicts_nothing(
    stores_available: None, local_services: LocalServices
) -> None:
    service = local_services.start(_Store("redis"))[0]
    try:
        with redis.Redis(host=LOOPBACK, port=service.site.port, decode_responses=True) as client:
            config: Any = client.config_get("*")
            assert config["appendonly"] == "yes"
            assert config["maxmemory-policy"] == "noeviction"
            assert config["list-compress-depth"] == "1"
    finally:
        local_services.stop(service.name)


def test_mongod_takes_its_arguments(stores_available: None, local_services: LocalServices) -> None:
    service = local_services.start(_Store("mongo"))[0]
    options = run_mongo_command(service.site.port, {"getCmdLineOpts": 1})
    local_services.stop(service.name)
    assert options is not None
    assert options["parsed"]["storage"]["wiredTiger"]["engineConfig"]["cacheSizeGB"] == 1
