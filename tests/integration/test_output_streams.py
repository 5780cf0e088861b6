"""Output that cannot be written, streams that are closed, and a folder that takes no files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.json_output import check_error

FULL_DISK = Path("/dev/full")
COMMANDS = ["--help", "runs --help", "templates show shop", "help upgrade"]
UNKNOWN_RUN = 2


def type_command(
    folder: Path, words: str, stdout: int = subprocess.PIPE, shell: str = ""
) -> subprocess.CompletedProcess[str]:
    """Type a command in ``folder``; ``shell`` follows it, as in ``2>&-``."""
    command = [sys.executable, "-m", "producer", *words.split()]
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {shell}', "sh", *command],
        cwd=folder,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(not FULL_DISK.exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_line(tmp_path: Path, command: str) -> None:
    with FULL_DISK.open("w") as full:
        done = type_command(tmp_path, command, stdout=full.fileno())
    assert done.returncode == 1
    assert done.stderr == (
        "error: the output or a file cannot be written: No space left on device. "
        "Free space on the disk, and repeat the command\n"
    )


@pytest.mark.skipif(not FULL_DISK.exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_an_object_for_programs(tmp_path: Path) -> None:
    with FULL_DISK.open("w") as full:
        done = type_command(tmp_path, "templates --json", stdout=full.fileno())
    assert done.returncode == 1
    assert check_error(done.stderr)["message"].endswith("No space left on device")


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_said_when_the_reader_has_left(tmp_path: Path, command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = type_command(tmp_path, command, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_services_start_for_a_command_with_closed_streams(tmp_path: Path, closed: str) -> None:
    """A pipe to the services' supervisor must not get the number of a standard stream."""
    (tmp_path / ".dataworks/data/valkey/appendonlydir").mkdir(parents=True)  # a ledger to look at
    done = type_command(tmp_path, "retry nosuch", shell=closed)
    assert done.returncode == UNKNOWN_RUN
    assert "Traceback" not in done.stderr
    assert (tmp_path / ".dataworks/logs/valkey.log").exists()


def test_a_folder_that_takes_no_files_is_one_line(tmp_path: Path) -> None:
    """A file in the place of the folder, because root may write to every folder."""
    (tmp_path / ".dataworks").write_text("")
    done = type_command(tmp_path, "local")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("error: the files of the local services cannot be written: ")
    assert line.endswith("Run dataworks in a folder that you own, on a disk with free space")
