"""A fleet for tests: settings of its own, workers, and the producer's command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psutil
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from redis import Redis

from dataworks_tasks.ledger.contract import RunProgress, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from producer.local.services import RunningService
from tests.support.json_output import check_error, check_output
from tests.support.warm_commands import WARM

QUEUE_LISTS = ("dataworks", "dataworks\x06\x166")
"""The lists of Redis that hold the queue: one for each priority."""


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Poll until ``condition`` is truthy; fail with ``what`` when it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


@dataclass
class Fleet:
    """One broker, one target database, and whoever works on it."""

    environment: dict[str, str]
    redis: Redis
    mongo: MongoClient[dict[str, Any]]
    database: str
    folder: Path
    start_worker: Callable[..., RunningService]
    producers: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def ledger(self) -> RedisLedger:
        """The ledger of its runs."""
        return RedisLedger(self.redis)

    def command(self, *arguments: object) -> list[str]:
        """Return a producer command line."""
        return [sys.executable, "-m", "producer", *map(str, arguments)]

    def process_environment(self) -> dict[str, str]:
        """Return the environment of its commands and workers."""
        # What the tests were started with stays first: another driver, perhaps.
        root = str(Path(__file__).parent.parent)
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))
        return {**os.environ, **self.environment, "PYTHONPATH": path, "COLUMNS": "100"}

    def run(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a producer command to its end."""
        words = [*map(str, arguments)]
        done = WARM.run(words, self.process_environment(), self.folder, 110)
        if "--json" in words:
            check_output(words, done.stdout)
            if any('"error": ' in line for line in done.stderr.splitlines()[-1:]):
                check_error(done.stderr)
        if check:
            assert done.returncode == 0, f"exit {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        """Start a producer command, with ``environment`` over the fleet's."""
        producer = subprocess.Popen(
            self.command(*arguments),
            env={**self.process_environment(), **environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.producers.append(producer)
        return producer

    def run_json(self, *arguments: object) -> dict[str, Any]:
        """Run a producer command with ``--json``; its last line."""
        found: dict[str, Any] = json.loads(self.run(*arguments, "--json").stdout.splitlines()[-1])
        return found

    def newest_run(self) -> str:
        """Return the id of the newest run, as soon as there is one."""
        found: list[str] = wait_until(self.ledger.run_ids, "a run is on record")
        return found[0]

    def wait_for_share(self, run_id: str, share: float) -> RunProgress:
        """Wait until that share of a run is acknowledged."""

        def reached() -> RunProgress | None:
            progress = self.ledger.progress(run_id)
            total = progress.total or 10**18
            return progress if progress.acknowledged >= share * total else None

        found: RunProgress = wait_until(reached, f"{share:.0%} of {run_id}")
        return found

    def wait_for_state(self, run_id: str, state: RunState, seconds: float = 60.0) -> None:
        """Wait until the run has that state, whoever brings it there."""
        wait_until(lambda: self.ledger.state(run_id) is state, f"{run_id} is {state}", seconds)

    def waiting(self) -> list[bytes]:
        """Return the messages in the queue, those of each priority."""
        found: list[bytes] = []
        for name in QUEUE_LISTS:
            found += cast("list[bytes]", self.redis.lrange(name, 0, -1))
        return found

    def raw_documents(self, collection: str) -> list[bytes]:
        """Every document's bytes, sorted."""
        raw = self.mongo.get_database(self.database).get_collection(collection)
        options = raw.codec_options.with_options(document_class=RawBSONDocument)
        documents = raw.with_options(options).find({})
        return sorted(bytes(document.raw) for document in documents)

    def close(self) -> None:
        """End producers that a test left behind."""
        for producer in self.producers:
            if producer.poll() is None:
                producer.kill()
            if producer.stdout and not producer.stdout.closed:
                producer.communicate()


def pool_children(worker: RunningService) -> Iterator[psutil.Process]:
    """Yield the pool processes of a Celery worker."""
    yield from psutil.Process(worker.pid).children()
