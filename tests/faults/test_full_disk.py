"""The disk of the database is full: the run waits, and continues when there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import Any

import pymongo
import pytest
import redis

from dataworks_tasks.ledger.contract import RunState
from producer.local.services import LocalServices, RunningService
from producer.local.services_record import read_record
from producer.state_folder import STATE_FOLDER
from tests.fleet import Fleet, wait_until
from tests.support.exact import check_exact, generate_arguments
from tests.support.mongod_variant import MongodVariant

TOTAL = 20_000
OUT_OF_DISK_SPACE = 14031


@pytest.fixture
def small_disk(own_services: LocalServices) -> Iterator[Path]:
    """Where mongod will keep its data: a file system in memory, of 96 MB."""
    folder = own_services.folder / "data" / "mongod"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
    yield folder
    own_services.stop("mongod", SIGKILL)
    subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def disk_of(folder: Path, megabytes: int) -> Iterator[None]:
    """Make ``folder`` a disk of this size."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_folder(tmp_path: Path) -> Iterator[Path]:
    """Yield the folder of a person whose disk has 16 MB."""
    with disk_of(tmp_path, 16):
        yield tmp_path


@pytest.fixture
def fleet_on_mongod(own_services: LocalServices, tmp_path: Path) -> Iterator[Fleet]:
    """Yield a fleet on a mongod that takes orders to fail."""
    server = own_services.start(MongodVariant(("--setParameter", "enableTestCommands=1")))[0]
    own_services.start_valkey()
    environment = {
        "FRAMEWORK_BROKER_URL": own_services.redis_url,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": str(server.url),
        "FRAMEWORK_STALL_SECONDS": "2",
    }

    def start_worker(concurrency: int = 1) -> RunningService:
        return own_services.start_worker(environment, concurrency)

    with (
        pymongo.MongoClient[dict[str, Any]](server.url) as mongo,
        redis.Redis.from_url(own_services.redis_url) as client,
    ):
        made = Fleet(environment, client, mongo, "shop", tmp_path, start_worker)
        yield made
        made.close()


def _environment() -> Mapping[str, str]:
    others = ("FRAMEWORK_", "COLUMNS")  # tables are as wide as they like
    kept = {name: v for name, v in os.environ.items() if not name.startswith(others)}
    return {**kept, "PYTHONPATH": str(Path(__file__).parents[2])}


def refuse_inserts(fleet: Fleet, times: int) -> None:
    """Let mongod report a full disk this many times."""
    fault = {"errorCode": OUT_OF_DISK_SPACE, "failCommands": ["insert"]}
    entered = fleet.mongo.admin.command(
        {"configureFailPoint": "failCommand", "mode": {"times": times}, "data": fault}
    )["count"]
    wait = {"waitForFailPoint": "failCommand", "timesEntered": entered + times}
    fleet.mongo.admin.command({**wait, "maxTimeMS": 30_000})


def fill(folder: Path) -> Path:
    """Leave no byte free; the file to remove afterwards."""
    ballast = folder / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(64 * 1024)):
            pass
    return ballast


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command in ``folder``; it does not outlive the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "producer", *arguments],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as command:
        try:
            yield command
        finally:
            command.kill()


def dataworks(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in ``folder`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "producer", *arguments],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_disk_of_a_command_with_its_own_redis_is_full_for_a_while(
    small_folder: Path,
    mongodb_url: str,
    database_name: str,
    mongo_client: pymongo.MongoClient[dict[str, Any]],
) -> None:
    """It says so, calls nothing complete, and continues when there is room."""
    collection = mongo_client[database_name]["c"]
    what = ("generate", "user_profile", "--total", "8k", "--max-rate", "2k", "--batch-size", "200")
    where = ("--target", mongodb_url, "--database", database_name, "--collection", "c")
    with started(small_folder, *what, *where, "--workers", "1") as command:
        wait_until(collection.estimated_document_count, "documents arrive")
        ballast = fill(small_folder)
        lines = iter(command.stdout or ())
        assert any("Redis cannot write to the disk of" in line for line in lines)
        assert collection.estimated_document_count() < 8000
        ballast.unlink()
        rest = "".join(lines)
        assert command.wait() == 0, rest
    assert "complete: 8,000 of 8,000 documents" in rest
    assert len(collection.distinct("_id")) == 8000


def test_local_services_wait_until_their_disk_has_room(tmp_path: Path) -> None:
    """They say which disk is full, start what ended, and the run is what MongoDB holds."""
    what = (
        "generate",
        "user_profile",
        "--total",
        "6k",
        "--max-rate",
        "1500",
        "--batch-size",
        "100",
    )
    with (
        disk_of(tmp_path, 96),
        started(tmp_path, "local", "--workers", "1", "--no-web", "--no-flower") as local,
    ):
        said = iter(local.stdout or ())
        assert any("export FRAMEWORK_TARGET" in line for line in said)
        record = read_record(tmp_path / STATE_FOLDER)
        assert record is not None
        with (
            pymongo.MongoClient[dict[str, Any]](record.urls["mongod"]) as mongo,
            started(tmp_path, *what, "--database", "d", "--collection", "c") as command,
        ):
            wait_until(mongo["d"]["c"].estimated_document_count, "documents arrive")
            ballast = fill(tmp_path)
            os.kill(record.pids["mongod"], SIGKILL)
            full = next(line for line in said if "is full" in line)
            assert str(tmp_path) in full
            assert "Free space on it" in full
            assert "mongod ended with -9; it waits" in next(said)
            lines = iter(command.stdout or ())
            assert any(f"Redis cannot write to the disk of {tmp_path}" in line for line in lines)
            looked = dataworks(tmp_path, "status")
            assert "Traceback" not in looked.stderr
            assert f"Redis cannot write to the disk of {tmp_path}" in looked.stdout
            assert "complete" not in looked.stdout
            ballast.unlink()
            assert "has room again" in next(said)
            assert "mongod is running again" in next(said)
            rest = "".join(lines)
            assert command.wait() == 0, rest
            assert "complete: 6,000 of 6,000 documents" in rest
            assert len(mongo["d"]["c"].distinct("_id")) == 6000
        local.send_signal(SIGINT)
        local.communicate()


def test_a_command_on_a_full_disk_is_refused_in_a_sentence(
    small_folder: Path, mongodb_url: str
) -> None:
    what = ["generate", "user_profile", "--total", "10", "--workers", "1"]
    what += ["--target", mongodb_url, "--database", "never"]
    ballast = fill(small_folder)
    for room in (0, 4096, 40_960):
        os.truncate(ballast, ballast.stat().st_size - room)
        done = dataworks(small_folder, *what)
        said = done.stdout + done.stderr
        assert done.returncode in (1, 2), said
        assert "Traceback" not in said
        assert "No space left" in said or "is full" in said


def test_a_file_that_does_not_fit_on_the_disk_is_removed(small_folder: Path) -> None:
    """The command can be repeated when there is room, and nobody takes a part for all of it."""
    fill(small_folder)
    os.truncate(small_folder / "ballast", 15_000_000)
    what = ("generate", "user_profile", "--total", "20k")
    for name in ("x.jsonl", "x.bson"):
        done = dataworks(small_folder, *what, "--output", name)
        assert (done.returncode, "No space left" in done.stderr) == (1, True), done.stderr
        assert "written to" not in done.stderr
        assert not (small_folder / name).exists()


@pytest.mark.soak
def test_the_disk_is_full_until_somebody_makes_room(
    small_disk: Path, fleet_on_mongod: Fleet, own_services: LocalServices
) -> None:
    """Refused inserts are sent again. With no room for its journal mongod ends itself."""
    fleet = fleet_on_mongod
    fleet.start_worker(2)
    producer = fleet.start(*generate_arguments(fleet, TOTAL, "--max-rate", 5000, batch_size=500))
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.1)
    refuse_inserts(fleet, 5)
    fleet.wait_for_share(run_id, 0.2)
    ballast = fill(small_disk)
    wait_until(lambda: "mongod" not in own_services.pids(), "mongod has ended")
    progress = fleet.ledger.progress(run_id)
    assert progress.state is RunState.RUNNING
    assert progress.acknowledged < TOTAL
    assert progress.counters["retried_requests"] >= 1
    ballast.unlink()
    own_services.restart("mongod")
    assert producer.wait(60) == 0
    check_exact(fleet, run_id, TOTAL)
