"""Commands where nothing runs: they start a Redis and workers, and leave none behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any

import psutil
import pymongo
import pytest

from tests.fleet import wait_until
from tests.support.warm_commands import WARM

pytestmark = pytest.mark.usefixtures("stores_available")
TEMPLATE = {
    "fields": {
        "n": {"type": "sequence"},
        "text": {"type": "string", "minLength": 400, "maxLength": 400},
    }
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Yield the folder of a person who has nothing running; check that nothing is left."""
    (tmp_path / "t.json").write_text(json.dumps(TEMPLATE))
    yield tmp_path
    wait_until(lambda: not _left(tmp_path), f"nothing runs of {tmp_path}: {_left(tmp_path)}", 20)


def _environment() -> Mapping[str, str]:
    kept = {name: v for name, v in os.environ.items() if not name.startswith("FRAMEWORK_")}
    return {**kept, "COLUMNS": "200", "PYTHONPATH": str(Path(__file__).parents[3])}


def _left(folder: Path) -> list[str]:
    """Return the processes whose command line or folder is in ``folder``."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd()]
        except psutil.Error:
            continue
        if any(str(folder) in word for word in words):
            found.append(" ".join(words))
    return found


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "producer", *map(str, arguments)],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, *arguments: object) -> tuple[int, str]:
    done = WARM.run([*map(str, arguments)], _environment(), folder, 100)
    return done.returncode, done.stdout + done.stderr


def generate(url: str, database: str, total: str, *more: object) -> list[object]:
    where = ("--target", url, "--database", database, "--collection", "c", "--workers", 1)
    return ["generate", "t.json", "--total", total, *where, *more]


def test_generate_look_migrate_and_verify(
    folder: Path,
    mongodb_url: str,
    database_name: str,
    mongo_client: pymongo.MongoClient[dict[str, Any]],
) -> None:
    code, out = run(folder, *generate(mongodb_url, database_name, "2k"))
    assert code == 0, out
    assert out.count("No Redis is set: starting one here with 1 worker process") == 1
    assert mongo_client[database_name]["c"].count_documents({}) == 2000
    code, out = run(folder, "status", "--json")
    assert (code, json.loads(out.splitlines()[-1])["documents"]) == (0, 2000)
    code, out = run(
        folder,
        *("migrate", "--source", mongodb_url, "--target", mongodb_url),
        *("--include", f"{database_name}.c", "--to", f"{database_name}.d", "--workers", 1),
    )
    assert code == 0, out
    assert mongo_client[database_name]["d"].count_documents({}) == 2000


@pytest.mark.parametrize("signal", [SIGTERM, SIGKILL], ids=lambda one: one.name)
def test_a_command_that_is_ended_leaves_nothing_running_and_can_be_continued(
    folder: Path,
    mongodb_url: str,
    database_name: str,
    mongo_client: pymongo.MongoClient[dict[str, Any]],
    signal: Signals,
) -> None:
    arguments = generate(mongodb_url, database_name, "40k", "--batch-size", "500")
    collection = mongo_client[database_name]["c"]
    with start(folder, *arguments, "--max-rate", "8k") as process:
        wait_until(collection.estimated_document_count, "documents arrive")
        if signal is SIGTERM:
            _kill_worker(folder, collection)
        process.send_signal(signal)
        out, _ = process.communicate(timeout=40)
    assert process.returncode == (-SIGKILL if signal is SIGKILL else 130), out
    assert ("worker ended with -9; restarting it" in out) == (signal is SIGTERM)
    wait_until(lambda: not _left(folder), "its services end", 20)
    written = collection.count_documents({})
    assert written < 40_000
    if signal is SIGKILL:
        printed = run(folder, "runs")[1]
        assert "has ended; continue with: dataworks resume" in printed
        assert "no worker" not in printed
    code, out = run(folder, "status", "--target", mongodb_url)
    assert code == 3
    assert ("paused" in out) == (signal is not SIGKILL)
    words = out.partition("Continue with: dataworks ")[2].split()
    assert words[0] == "resume"
    assert collection.count_documents({}) == written
    code, out = run(folder, *words, "--workers", "1")
    assert code == 0, out
    assert collection.count_documents({}) == 40_000
    assert len(collection.distinct("n")) == 40_000


def test_a_second_command_does_not_use_services_that_end_with_the_first(
    folder: Path, mongodb_url: str, database_name: str
) -> None:
    arguments = generate(mongodb_url, database_name, "40k", "--max-rate", 100)
    with start(folder, *arguments) as first:
        wait_until((folder / ".dataworks/runs").is_dir, "the first run is on record")
        where = ("--target", mongodb_url, "--database", database_name, "--collection", "d")
        for more in ((), ("--workers", 1)):
            code, out = run(folder, "generate", "t.json", "--total", 10, *where, *more)
            assert (code, f"(process {first.pid})" in out) == (2, True), out
        assert run(folder, "runs", "--json")[1].count('"run"') == 1
        first.send_signal(SIGTERM)
        first.communicate(timeout=40)


def _kill_worker(folder: Path, collection: Any) -> None:
    """Kill the worker of the running command, and wait until another one writes."""
    record = json.loads((folder / ".dataworks/services.json").read_text())
    os.kill(record["pids"]["worker"], SIGKILL)
    before = collection.estimated_document_count() + 1000
    wait_until(lambda: collection.estimated_document_count() > before, "another worker writes")


def test_a_database_that_does_not_answer_starts_nothing(folder: Path) -> None:
    code, out = run(
        folder, *generate("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300", "d", "1")
    )
    assert code == 2
    assert "cannot be reached" in out
    assert "starting" not in out


def test_a_wrong_template_starts_nothing(folder: Path, mongodb_url: str) -> None:
    (folder / "t.json").write_text('{"fields": {"n": {"type": "sequense"}}}')
    code, out = run(folder, *generate(mongodb_url, "d", "1"))
    assert (code, "sequense" in out, "starting" in out) == (2, True, False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("migrate", "--include", "shop.ordrs", "--to", "shop.c"),
        ("migrate", "--include", "shop.*", "--exclude", "shop.*"),
        ("migrate", "--include", "shop"),
        ("migrate", "--include", "shop.orders", "--mask", "email=none_such"),
        ("migrate", "--include", "shop.orders", "--to", "shop.c", "--write-sample", "1k"),
        ("generate", "service_ordr"),
        ("verify", "gen-20260101-000000-0000"),
        ("retry", "gen-20260101-000000-0000"),
        ("resume", "gen-20260101-000000-0000"),
        ("resume", "gen-20260101-000000-0000", "--rebuild", "--spec", "none.json"),
        ("resume", "nightly", "--resync"),
        ("verify", "nightly", "--repair"),
        ("verify", "nightly", "--delete-extra"),
    ],
    ids=" ".join,
)
def test_what_is_misspelt_starts_nothing_and_leaves_nothing(
    folder: Path, mongodb_url: str, arguments: tuple[str, ...]
) -> None:
    source = ("--source", mongodb_url) if arguments[0] == "migrate" else ()
    code, out = run(folder, *arguments, *source, "--target", mongodb_url)
    assert code == 2, out
    assert "starting one here" not in out
    assert not (folder / ".dataworks").exists(), out


def test_a_run_that_is_not_on_record_starts_no_workers(
    folder: Path, mongodb_url: str, database_name: str
) -> None:
    """A ledger of an earlier command has to be read; nothing else is started."""
    assert run(folder, *generate(mongodb_url, database_name, "10"))[0] == 0
    log = folder / ".dataworks/logs/worker.log"
    before = log.stat().st_size
    for command in ("verify", "retry", "resume"):
        code, out = run(folder, command, "gen-20260101-000000-0000", "--target", mongodb_url)
        assert (code, "starting one here" in out) == (2, False), out
        assert "gen-20260101-000000-0000" in out
    assert log.stat().st_size == before


def test_detach_is_refused(folder: Path, mongodb_url: str) -> None:
    code, out = run(folder, *generate(mongodb_url, "d", "1", "--detach"))
    assert (code, "dataworks local" in out) == (2, True)
