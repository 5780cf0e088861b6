"""``dataworks local`` as a user runs it: its pages, and settings that come from elsewhere."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT
from typing import Any
from urllib.request import urlopen

import psutil
import pymongo
import pytest

from dataworks_tasks.settings import ConfigManager, FrameworkConfig
from producer.local.environment import LocalAddresses, SettingsInForce
from producer.local.kept_ports import KeptPorts
from producer.local.services import LocalServices
from tests.support.json_output import check_output

pytestmark = pytest.mark.usefixtures("stores_available")


def dataworks(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "producer", *arguments]
    environment = {**os.environ, **settings}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@contextmanager
def local(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run the command in ``folder`` and yield what it prints with ``--json``."""
    command = [sys.executable, "-m", "producer", "local", "--json", "--no-flower", *arguments]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            [reported] = check_output(["local"], process.stdout.readline())
            yield reported
        finally:
            process.send_signal(SIGINT)
            assert process.wait(40) == 0


def test_workers_obey_env_local_also_when_one_died(tmp_path: Path, mongodb_url: str) -> None:
    target = {"FRAMEWORK_TARGET_DB_CONNECTION_STRING": mongodb_url}
    settings = {**target, "FRAMEWORK_QUEUE": "mine", "FRAMEWORK_GENERATION_WORKERS": "3"}
    lines = (f"{name}={value}\n" for name, value in settings.items())
    (tmp_path / ".env_local").write_text("".join(lines))
    database = f"local_{os.getpid()}"
    with local(tmp_path) as reported:
        record = json.loads((tmp_path / ".dataworks/services.json").read_text())
        worker = psutil.Process(record["pids"]["worker"])
        assert len(worker.children()) == 3
        worker.kill()
        done = dataworks(
            tmp_path,
            *("generate", "service_order", "--total", "100"),
            *("--database", database, "--collection", "orders"),
        )
        with urlopen(reported["urls"]["web"], timeout=20) as answer:  # noqa: S310 - of this machine
            assert b"100" in answer.read()
        assert done.returncode == 0, done.stdout + done.stderr
        # What it printed reaches the same workers from another folder.
        (tmp_path / "other").mkdir()
        done = dataworks(
            tmp_path / "other",
            *("generate", "service_order", "--total", "10"),
            *("--database", database, "--collection", "others"),
            **reported["settings"],
            **target,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    with pymongo.MongoClient[dict[str, Any]](mongodb_url) as client:
        assert client[database]["orders"].count_documents({}) == 100
        assert client[database]["others"].count_documents({}) == 10
        client.drop_database(database)


def test_ports_stay_from_start_to_start(tmp_path: Path, stores_available: None) -> None:
    with LocalServices(tmp_path) as services:
        services.start_stores()
        first = services.urls()
    with LocalServices(tmp_path) as services:
        services.start_stores()
        assert services.urls() == first
    taken = KeptPorts(tmp_path).choose("valkey") or 0
    with socket.create_server(("127.0.0.1", taken)), LocalServices(tmp_path) as services:
        services.start_valkey()
        other = services.redis_url
    assert other != first["valkey"]
    with LocalServices(tmp_path) as services:
        services.start_valkey()
        assert services.redis_url == other


def test_lines_can_be_pasted_into_a_shell_of_80_columns(tmp_path: Path) -> None:
    mongod, redis = "mongodb://127.0.0.1:29999/", "redis://127.0.0.1:29999/0"
    assert all(len(line) < 80 for line in _lines(LocalAddresses(redis, mongod)))
    cosmos = "mongodb://127.0.0.1:29999/?replicaSet=globaldb&retrywrites=false"
    lines = _lines(LocalAddresses(redis, mongod, cosmos))
    (tmp_path / ".env_local").write_text("\n".join(lines))
    shown = 'printf %s "$FRAMEWORK_TARGET_DB_CONNECTION_STRING"'
    done = subprocess.run(
        ["sh", "-c", "\n".join([*lines, f"sh -c '{shown}'"])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == cosmos
    config = ConfigManager().load_config(tmp_path / ".env_local")
    assert config.target is not None
    assert config.target.connection_string.get_secret_value() == cosmos


def _lines(addresses: LocalAddresses) -> list[str]:
    config = FrameworkConfig.model_validate(
        {
            "broker_url": addresses.redis_url,
            "source": {"connection_string": addresses.mongodb_url},
            "target": {"connection_string": addresses.target_url or addresses.mongodb_url},
        }
    )
    return SettingsInForce.of(addresses, config, None).lines
