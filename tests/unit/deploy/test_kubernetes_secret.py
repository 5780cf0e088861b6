"""The secret holds what was set, letter for letter, and what the manifests ask for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dataworks_tasks.settings import ConfigManager
from producer.cli.kubernetes_secret import command
from producer.kubernetes_secret import keda_hints, kubernetes_secret, other_settings
from tests.unit.deploy.compose_file import manifests

HARD = """it's $HOME #1 "x" \u00e9"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*os.environ,):
        if name.startswith(("FRAMEWORK_", "FLOWER_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env_local").write_text(
        """# a comment
FRAMEWORK_BROKER_URL='rediss://worker:p%40ss%2Fw@redis.example.com/3'
FRAMEWORK_TARGET_DB_CONNECTION_STRING="mongodb://u:p@db.example.com/"
FRAMEWORK_WEB_PASSWORD='it\\'s $HOME #1 "x" \u00e9'
FLOWER_BASIC_AUTH='me:$1#2'
FRAMEWORK_QUEUE=nightly
"""
    )
    return tmp_path


def run() -> tuple[dict[str, Any], str]:
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found, done.stderr


def test_it_holds_the_secrets_as_dataworks_reads_them(folder: Path) -> None:
    secret, said = run()
    assert secret["metadata"] == {"name": "dataworks"}
    assert secret["stringData"] == {
        "FRAMEWORK_BROKER_URL": "rediss://worker:p%40ss%2Fw@redis.example.com/3",
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": "mongodb://u:p@db.example.com/",
        "FRAMEWORK_WEB_PASSWORD": HARD,
        "FLOWER_BASIC_AUTH": "me:$1#2",
        "redis-address": "redis.example.com:6379",
        "redis-username": "worker",
        "redis-password": "p@ss/w",
        "redis-tls": "enable",
    }
    assert "FRAMEWORK_QUEUE" in said
    assert 'databaseIndex: "3"' in said
    assert "dataworks:wanted:nightly" in said
    assert "p@ss" not in said


def test_what_pods_need_is_what_it_makes(folder: Path) -> None:
    secret, _ = run()
    [example] = [one for one in manifests() if one["kind"] == "Secret"]
    optional = {"FRAMEWORK_SOURCE_DB_CONNECTION_STRING"}
    assert set(example["stringData"]) - optional == set(secret["stringData"])


@pytest.mark.parametrize(
    ("url", "address", "tls"),
    [
        ("redis://localhost:6380/0", "localhost:6380", "disable"),
        ("rediss://[::1]:7000", "[::1]:7000", "enable"),
    ],
)
def test_addresses_for_keda(url: str, address: str, tls: str) -> None:
    config = ConfigManager("NOTHING_SET").load_config("none", overrides={"BROKER_URL": url})
    data = kubernetes_secret(config, "x", None)["stringData"]
    assert (data["redis-address"], data["redis-tls"]) == (address, tls)
    assert list(keda_hints(config)) == []
    assert "FRAMEWORK_PROFILE" not in other_settings(config)


def test_sentinels_are_named_for_keda() -> None:
    url = "sentinel://u:p@a:26379,b:26379/0?master=m"
    config = ConfigManager("NOTHING_SET").load_config("none", overrides={"BROKER_URL": url})
    assert "redis-address" not in kubernetes_secret(config, "x", None)["stringData"]
    assert "redis-sentinel" in next(keda_hints(config))


def test_a_terminal_does_not_show_it(folder: Path) -> None:
    code = (
        "import os, pty, sys; "
        "sys.exit(os.waitstatus_to_exitcode(pty.spawn(['"
        + sys.executable
        + "', '-m', 'producer', 'kubernetes-secret'])))"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": root},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "shown on the terminal" in done.stdout
    assert "p%40ss" not in done.stdout
