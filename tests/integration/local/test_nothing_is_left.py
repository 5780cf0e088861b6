"""However the command ends: no process and no temporary folder is left, and no data is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM
from typing import Any, NamedTuple

import pytest

from producer.local.process_control import is_running

pytestmark = pytest.mark.usefixtures("stores_available")
SCRIPT = Path(__file__).with_name("example_command.py")
GONE_LIMIT_SECONDS = 20.0


class Command(NamedTuple):
    process: subprocess.Popen[bytes]
    reported: dict[str, Any]

    @property
    def folder(self) -> Path:
        return Path(self.reported["folder"])


Starter = Callable[[str, str], Command]


@pytest.fixture
def start_command() -> Iterator[Starter]:
    processes: list[subprocess.Popen[bytes]] = []

    def start(place: str, ending: str) -> Command:
        process = subprocess.Popen(
            [sys.executable, SCRIPT, place, ending],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"the command did not start: {process.communicate()[1].decode()}")
        return Command(process, json.loads(line))

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], bool], limit_seconds: float = GONE_LIMIT_SECONDS) -> None:
    deadline = time.monotonic() + limit_seconds
    while not condition():
        assert time.monotonic() < deadline, "the deadline has passed"
        time.sleep(0.02)


def assert_nothing_is_left(command: Command) -> None:
    processes = command.reported["processes"]
    # Supervisor, janitor, Valkey, mongod, worker and its pool of two.
    assert len(processes) == 7
    wait_until(lambda: not any(is_running(pid) for pid in processes))
    wait_until(lambda: not command.folder.exists())


def end(*pids: int, signal: int) -> None:
    for pid in pids:
        os.kill(pid, signal)


@pytest.mark.parametrize(("ending", "returncode"), [("exit", 0), ("raise", 1)])
def test_the_command_ends_by_itself(start_command: Starter, ending: str, returncode: int) -> None:
    command = start_command("temporary", ending)
    assert command.process.wait(GONE_LIMIT_SECONDS) == returncode
    # At once: leaving the services waits for them.
    assert not [pid for pid in command.reported["processes"] if is_running(pid)]
    assert not command.folder.exists()


@pytest.mark.parametrize(
    ("signal", "returncode"), [(SIGINT, 130), (SIGTERM, -SIGTERM), (SIGKILL, -SIGKILL)]
)
def test_the_command_is_signalled(start_command: Starter, signal: int, returncode: int) -> None:
    command = start_command("temporary", "wait")
    end(command.process.pid, signal=signal)
    assert command.process.wait(GONE_LIMIT_SECONDS) == returncode
    assert_nothing_is_left(command)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's parent death signal")
def test_the_command_and_the_supervisor_are_killed(start_command: Starter) -> None:
    command = start_command("temporary", "wait")
    end(command.reported["supervisor"], command.process.pid, signal=SIGKILL)
    assert_nothing_is_left(command)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's parent death signal")
def test_the_command_notices_that_the_supervisor_is_killed(start_command: Starter) -> None:
    command = start_command("temporary", "wait")
    end(command.reported["supervisor"], signal=SIGKILL)
    _, errors = command.process.communicate(timeout=GONE_LIMIT_SECONDS)
    assert b"the supervisor of the local services was stopped" in errors
    assert_nothing_is_left(command)


def test_a_fork_of_the_command_does_not_keep_the_services(start_command: Starter) -> None:
    command = start_command("temporary", "fork")
    try:
        end(command.process.pid, signal=SIGKILL)
        assert_nothing_is_left(command)
        assert is_running(command.reported["fork"])
    finally:
        end(command.reported["fork"], signal=SIGKILL)


@pytest.mark.parametrize("killed", ["command", "supervisor too"])
def test_a_killed_command_leaves_its_folder_ready_for_the_next(
    start_command: Starter, tmp_path: Path, killed: str
) -> None:
    place = str(tmp_path / "state")
    first = start_command(place, "wait")
    if killed == "supervisor too":
        end(first.reported["supervisor"], signal=SIGKILL)
    end(first.process.pid, signal=SIGKILL)
    second = start_command(place, "exit")
    assert second.process.wait(GONE_LIMIT_SECONDS) == 0
    assert not [
        pid
        for command in (first, second)
        for pid in command.reported["processes"]
        if is_running(pid)
    ]
    assert sorted(path.name for path in (second.folder / "data").iterdir()) == [
        "mongod",
        "valkey",
        "worker",
    ]
    assert not (second.folder / "services.json").exists()
