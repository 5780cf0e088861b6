"""The first hour of somebody who never saw DataWorks, typed by a program.

``python -m tests.first_hour``: the wheel is installed into an environment of its own, and every
command is typed in a new home outside of the checkout, with no setting. It prints the seconds of
each step, and ends with an error at the first one that is not right.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pymongo

from producer.local.services import LocalServices
from tests.fleet import wait_until

ROOT = Path(__file__).parent.parent
_STEP_SECONDS = 600


@dataclass
class FirstHour:
    """A new home, and the programs of a new environment."""

    home: Path
    environment: Path
    seconds: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Measure a step."""
        began = time.monotonic()
        yield
        self.seconds.append((title, time.monotonic() - began))
        print(f"{self.seconds[-1][1]:7.1f} s  {title}", flush=True)  # noqa: T201

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command as the person does."""
        return subprocess.Popen(
            [str(self.environment / "bin" / "dataworks"), *words],
            cwd=self.home,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def type(self, *words: str, code: int = 0) -> str:
        """Type a command, and expect its exit code; what it printed."""
        with self.start(*words) as process:
            printed, _ = process.communicate(timeout=_STEP_SECONDS)
        assert process.returncode == code, f"{' '.join(words)}: {process.returncode}\n{printed}"
        return printed

    @property
    def variables(self) -> dict[str, str]:
        """What a new login has; no setting."""
        path = os.pathsep.join([str(self.environment / "bin"), "/usr/bin", "/bin"])
        return {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", "TERM": "xterm"}


def main() -> int:
    """Type the hour; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=60_000, help="documents of the database")
    documents = parser.parse_args().documents
    with (
        tempfile.TemporaryDirectory(prefix="first-hour-") as folder,
        LocalServices.in_temporary_folder() as own,
    ):
        own.start_mongod()  # the database that the person has already
        hour = FirstHour(Path(folder) / "home", Path(folder) / "environment")
        hour.home.mkdir()
        with pymongo.MongoClient[dict[str, Any]](own.mongodb_url) as database:
            _type(hour, Path(folder), own.mongodb_url, database, documents)
    total = sum(seconds for _, seconds in hour.seconds)
    print(f"{total:7.1f} s  in all")  # noqa: T201
    return 0


def _type(
    hour: FirstHour,
    folder: Path,
    url: str,
    database: pymongo.MongoClient[dict[str, Any]],
    documents: int,
) -> None:
    with hour.step("build the wheel"):
        _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    [wheel] = folder.glob("dataworks-*.whl")
    with hour.step("install it"):
        subprocess.run([sys.executable, "-m", "venv", hour.environment], check=True)
        python = str(hour.environment / "bin" / "python")
        _pip("install", "-c", str(ROOT / "constraints.txt"), f"{wheel}[local]", python=python)
    with hour.step("dataworks --help"):
        assert "generate" in hour.type("--help")
    with hour.step("dataworks demo"):
        assert hour.type("demo", "--total", "20k").count("equal") == 2
    with hour.step("dataworks generate service_order --target ..."):
        where = ("--database", "shop", "--collection", "orders")
        printed = hour.type(
            *("generate", "service_order", "--total", str(documents), "--seed", "1"),
            *("--target", url, *where),
        )
        assert "No Redis is set" in printed
        assert database["shop"]["orders"].count_documents({}) == documents
    copy = database["dev"]["orders"]
    with hour.step("dataworks migrate --mask ..., killed in the middle"):
        _migrate_and_kill(hour, url, lambda: copy.estimated_document_count() > documents // 5)
    with hour.step("dataworks status"):
        printed = hour.type("status", "--source", url, "--target", url, code=3)
        resume = printed.partition("Continue with: dataworks ")[2].split()
        assert resume[0] == "resume", printed
    with hour.step("dataworks resume"):
        hour.type(*resume)
        assert copy.count_documents({}) == documents
    with hour.step("dataworks verify"):
        hour.type("verify", *resume[1:])
    with hour.step("dataworks report"):
        hour.type("report", resume[1], "--output", "moved.html")
        assert "compared" in (hour.home / "moved.html").read_text()
    with hour.step("dataworks runs"):
        runs = [json.loads(line) for line in hour.type("runs", "--json").splitlines()]
        assert [run["state"] for run in runs] == ["complete"] * 3
    _check_masked(database)


def _migrate_and_kill(hour: FirstHour, url: str, is_begun: Callable[[], bool]) -> None:
    with hour.start(
        *("migrate", "--source", url, "--target", url, "--include", "shop.orders"),
        *("--to", "dev.orders", "--mask", "customer.email=faker:email", "--batch-size", "1k"),
        *("--max-rate", "10k"),
    ) as process:

        def begun() -> bool:
            assert process.poll() is None, process.communicate()[0]
            return is_begun()

        wait_until(begun, "a part is copied", 120)
        process.send_signal(SIGKILL)
        process.communicate()


def _check_masked(database: pymongo.MongoClient[dict[str, Any]]) -> None:
    names = {one["_id"]: one["customer"]["email"] for one in database["shop"]["orders"].find({})}
    same = sum(
        names[one["_id"]] == one["customer"]["email"] for one in database["dev"]["orders"].find({})
    )
    assert same < len(names) / 100, f"{same} addresses are as they were"


def _pip(*words: str, python: str = sys.executable) -> None:
    command = [python, "-m", "pip", words[0], "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *words[1:]], check=True, timeout=_STEP_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
