"""Passwords that are not percent-encoded, given to every command, a worker and Flower."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from producer.cli import COMMANDS
from tests.support.warm_commands import WARM
from tests.unit.test_addresses import parts

PASSWORDS = ("Tr0ub4dor/3x", "Qx@Zz/w9Jy", "12345/6789", "Q9?a=Zx8@J", "[XqZ]#98J", "9%Zz8QxJ")
ADDRESSES = {
    "FRAMEWORK_BROKER_URL": "redis://:{}@127.0.0.1:1/0",
    "FRAMEWORK_LEDGER_URL": "redis://user:{}@127.0.0.1:1/0",
    "FRAMEWORK_TARGET_DB_CONNECTION_STRING": "mongodb://user:{}@127.0.0.1:1/",
}
RUN = "gen-20261122-142501-7f3a"
ARGUMENTS = {
    "generate": ("sensors", "--total", "1"),
    "migrate": ("--include", "a.b"),
    "metrics": ("--port", "0"),
    **dict.fromkeys(("verify", "resume", "pause", "cancel", "retry", "failures", "status"), (RUN,)),
    **dict.fromkeys(("cutover", "indexes", "report", "sync"), (RUN,)),
    "rate": (RUN, "--max-rate", "1"),
}
FIRST = "FRAMEWORK_BROKER_URL"
WITHOUT_SETTINGS = {"demo", "local", "plan", "profiles", "templates", "worker-health"}
WITHOUT_SETTINGS |= {"generators", "strategies", "completion", "help"}
"""Commands that read no address, or make their own."""


def _check(text: str, password: str) -> None:
    assert "Traceback" not in text
    assert "percent-encode user and password" in " ".join(text.split())
    assert [part for part in parts(password) if part in text] == []


@pytest.mark.parametrize(("setting", "password"), list(zip(ADDRESSES, PASSWORDS, strict=False)))
def test_every_command_refuses_it_in_one_line(setting: str, password: str, tmp_path: Path) -> None:
    environment = {**os.environ, setting: ADDRESSES[setting].format(password), "COLUMNS": "200"}
    commands = COMMANDS.keys() - WITHOUT_SETTINGS if setting == FIRST else {"doctor"}
    for command in sorted(commands):
        arguments = [command, *ARGUMENTS.get(command, ())]
        done = WARM.run(arguments, environment, tmp_path, 60)
        assert done.returncode == 2, f"{arguments}: {done.stdout}{done.stderr}"
        assert done.stderr.count("\n") == 1
        _check(done.stdout + done.stderr, password)


@pytest.mark.parametrize("program", ["worker", "flower"])
def test_a_worker_and_flower_refuse_it_in_one_line(program: str, tmp_path: Path) -> None:
    for setting, password in zip(ADDRESSES, PASSWORDS, strict=False):
        environment = {**os.environ, setting: ADDRESSES[setting].format(password)}
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        command = [sys.executable, "-m", "celery", "-A", "dataworks_tasks", program]
        done = subprocess.run(
            command,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        _check(done.stdout + done.stderr, password)
