"""``dataworks local`` as a user runs it: its pages, and settings that come from elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT
from typing import Any
from urllib.request import urlopen

import pymongo
import pytest

pytestmark = pytest.mark.usefixtures("stores_available")


def dataworks(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "producer", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False
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
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(SIGINT)
            assert process.wait(40) == 0


def test_workers_and_producer_both_obey_env_local(tmp_path: Path, mongodb_url: str) -> None:
    (tmp_path / ".env_local").write_text(f"FRAMEWORK_TARGET_DB_CONNECTION_STRING={mongodb_url}\n")
    database = f"local_{os.getpid()}"
    with local(tmp_path, "--workers", "1") as told:
        done = dataworks(
            tmp_path,
            *("generate", "service_order", "--total", "100"),
            *("--database", database, "--collection", "orders"),
        )
        with urlopen(told["urls"]["web"], timeout=20) as answer:  # noqa: S310 - of this machine
            assert b"100" in answer.read()
    assert done.returncode == 0, done.stdout + done.stderr
    with pymongo.MongoClient[dict[str, Any]](mongodb_url) as client:
        assert client[database]["orders"].count_documents({}) == 100
        client.drop_database(database)
