"""Liveness files: what a worker writes, and what a probe makes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.worker.liveness import (
    TOUCH_SECONDS,
    LivenessFile,
    liveness_folder,
    living_workers,
)
from dataworks_tasks.worker.liveness_step import LivenessStep
from producer.cli import _exit_code as cli_exit_code
from producer.cli.worker_health import command
from tests.support.json_output import check_error


class Timer:
    """Celery's timer, as far as a step sees it."""

    def __init__(self) -> None:
        self.entries: list[Callable[[], None]] = []

    def call_repeatedly(self, seconds: float, function: Callable[[], None]) -> Callable[[], None]:
        assert seconds == TOUCH_SECONDS
        self.entries.append(function)
        return function

    def cancel(self, entry: Callable[[], None]) -> None:
        self.entries.remove(entry)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return liveness_folder()


@pytest.fixture
def consumer() -> Any:
    return SimpleNamespace(hostname="celery@a/b", timer=Timer(), steps=[])


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def probe(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_a_worker_that_touches_its_file_is_healthy(folder: Path, consumer: Any) -> None:
    LivenessStep(consumer).start(consumer)
    file = LivenessFile("celery@a/b", folder)
    age(file.path, 600)
    assert probe().exit_code == 1
    consumer.timer.entries[0]()
    assert probe().exit_code == 0
    [worker] = living_workers(folder)
    assert (worker.name, worker.pid) == ("celery@a/b", os.getpid())


def test_without_a_worker_a_program_gets_an_error_object(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["dataworks", "worker-health", "--worker", "a@b", "--json"])
    assert cli_exit_code() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert check_error(printed.err)["message"] == "no worker a@b is running here"


def test_a_worker_without_a_connection_grows_stale(folder: Path, consumer: Any) -> None:
    step = LivenessStep(consumer)
    step.start(consumer)
    step.stop(consumer)
    assert consumer.timer.entries == []
    age(LivenessFile("celery@a/b", folder).path, 91)
    result = probe("--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["healthy"] is False
    assert probe("--stale-seconds", "120").exit_code == 0


def test_one_stale_worker_of_two_is_found_out_by_name(folder: Path) -> None:
    for name, seconds in (("a@host", 5), ("b@host", 500)):
        LivenessFile(name, folder).write()
        age(LivenessFile(name, folder).path, seconds)
    assert probe().exit_code == 1
    assert probe("--worker", "a@host").exit_code == 0
    assert probe("--worker", "b@host").exit_code == 1
    assert probe("--worker", "c@host").exit_code == 1


def test_a_killed_worker_is_not_healthy_however_fresh_its_file(folder: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path = LivenessFile("gone@host", folder).path
    path.write_text(json.dumps({"name": "gone@host", "pid": ended.pid}))
    result = probe()
    assert result.exit_code == 1
    assert str(result.exception) == "no worker is running here. Start one: dataworks worker"
    assert not path.exists()


def test_a_file_that_was_cleaned_up_comes_back(folder: Path) -> None:
    file = LivenessFile("a@host", folder)
    file.touch()
    assert probe().exit_code == 0


def test_a_folder_of_somebody_else_is_not_believed(folder: Path, tmp_path: Path) -> None:
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    with pytest.raises(SettingsError, match="another user"):
        liveness_folder()


def test_the_probe_imports_no_driver() -> None:
    code = "import sys, producer.cli.worker_health; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"celery", "pymongo", "redis", "pydantic", "numpy"} & set(done.stdout.split())
