"""The Redis users of deploy/redis/users.acl may do what their program does, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import redis
from redis.exceptions import NoPermissionError

from producer.local.binaries import VALKEY, find_binary
from producer.local.celery_services import CeleryWorker, Flower
from producer.local.child_command import ChildCommand, StopPolicy
from producer.local.probe import redis_answers
from producer.local.service_definition import LOOPBACK, ServiceSite, system_environment
from producer.local.services import LocalServices
from tests.unit.deploy.compose_file import ROOT

PASSWORD = "a-password-for-this-test"
QUEUE = "dataworks"
Settings = Callable[[str], dict[str, str]]


class _Guarded:
    """Valkey with the users of the file, and one more to look on."""

    name = "guarded-valkey"

    def command(self, site: ServiceSite) -> ChildCommand:
        users = (ROOT / "deploy/redis/users.acl").read_text().replace("PASSWORD", PASSWORD)
        file = site.data / "users.acl"
        file.write_text(f"{users}user observer on >{PASSWORD} ~* &* +@all\n")
        options = ["--port", str(site.port), "--bind", LOOPBACK, "--dir", str(site.data)]
        return ChildCommand(
            name=self.name,
            arguments=(str(find_binary(VALKEY).path), *options, "--aclfile", str(file)),
            environment=system_environment(),
            folder=site.data,
            log=site.log,
            stop=StopPolicy(stage=1),
        )

    def is_ready(self, site: ServiceSite) -> bool:
        return redis_answers(site.port) or "Ready to accept connections" in site.log_text()

    def url(self, site: ServiceSite) -> str:
        return f"redis://{{}}:{PASSWORD}@{LOOPBACK}:{site.port}/0"


@pytest.fixture
def address(own_services: LocalServices) -> str:
    return str(own_services.start(_Guarded())[0].url)


@pytest.fixture
def settings(own_services: LocalServices, address: str) -> Settings:
    mongodb = own_services.start_mongod().url

    def of(user: str) -> dict[str, str]:
        return {
            "FRAMEWORK_BROKER_URL": address.format(user),
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": str(mongodb),
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING": str(mongodb),
        }

    return of


@pytest.fixture
def observer(address: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(address.format("observer"), decode_responses=True) as client:
        yield client


def dataworks(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    program = Path(sys.executable).with_name("dataworks")
    done = subprocess.run(
        [program, *arguments],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_fleet_works_and_nothing_is_denied(
    own_services: LocalServices, settings: Settings, observer: redis.Redis, tmp_path: Path
) -> None:
    own_services.start(CeleryWorker(settings("worker")), Flower(settings("flower")))
    producer = settings("producer")
    target = ["--database", "shop", "--collection", "orders"]
    dataworks(producer, tmp_path, "generate", "service_order", "--total", "20k", *target)
    run_id = json.loads(dataworks(producer, tmp_path, "runs", "--json", "--limit", "1"))["run"]
    for command in ("status", "verify", "failures"):
        dataworks(producer, tmp_path, command, run_id)
    dataworks(producer, tmp_path, "migrate", "--include", "shop.orders", "--to", "shop.copy")
    page = own_services.urls()["flower"]
    for path in ("workers?refresh=1", "tasks", "broker"):
        with urlopen(page + path, timeout=20) as answer:  # noqa: S310
            assert answer.status == 200
    assert own_services.stop("worker") == 0
    denied: Any = observer.acl_log()
    assert {(one["username"], one["reason"], one["object"]) for one in denied} == set()


@pytest.mark.parametrize("user", ["producer", "worker", "flower"])
def test_nobody_may_administer_or_look_around(address: str, user: str) -> None:
    with redis.Redis.from_url(address.format(user)) as client:
        assert client.ping()
        for command in ("FLUSHALL", "CONFIG GET dir", "KEYS *", "GET elsewhere", "ACL LIST"):
            with pytest.raises(NoPermissionError):
                client.execute_command(*command.split())


def test_flower_cannot_start_tasks(address: str) -> None:
    with redis.Redis.from_url(address.format("flower")) as client:
        assert client.llen(QUEUE) == 0
        with pytest.raises(NoPermissionError):
            client.lpush(QUEUE, "a task")
        with pytest.raises(NoPermissionError):
            client.get("dataworks:{gen-1}:spec")


def test_there_is_no_way_in_without_a_password(address: str) -> None:
    without = address.replace(f"{{}}:{PASSWORD}@", "")
    with redis.Redis.from_url(without) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
