"""``python -m benchmarks.sync``: the rate at which a migration follows its source, and its lag.

Two replica sets, one worker of two processes, documents of 1 KB. ``--minutes N`` follows for that
long at ``--rate`` changes a second (``--hour`` for sixty minutes) and writes a picture of the lag
and of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pymongo
from rich.console import Console

from benchmarks.changing_source import changing
from benchmarks.follow_plot import Sample, plot_following
from benchmarks.promises import Promise, promise_table
from dataworks_tasks.ledger.connect import connect_ledger
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.settings import ConfigManager
from producer.local.binaries import MONGOD, find_binary
from producer.local.mongod import Mongod
from producer.local.services import LocalServices
from producer.view.follow_figures import FollowFigures, follow_figures

_PADDING = "x" * 950
_BATCH = 1000
_PROBE = "probe"
_PROBE_SECONDS = 0.1
_MEMORY_SECONDS = 1.0
_PICTURE = Path("docs/pictures/following.svg")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--rate", type=int, default=2_000, help="changes a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each of the measurements")
    parser.add_argument("--minutes", type=float, help="only follow, for so long, and plot it")
    parser.add_argument("--hour", action="store_const", dest="minutes", const=60.0)
    parser.add_argument("--picture", type=Path, default=_PICTURE)
    asked = parser.parse_args()
    console = Console()
    with following(asked.documents) as bench:
        if asked.minutes is not None:
            samples = list(bench.samples(asked.rate, asked.minutes * 60))
            plot_following(samples, asked.rate, asked.picture)
            lags = sorted(sample.lag_seconds for sample in samples)
            console.print(
                f"{asked.minutes:g} minutes at {asked.rate:,} changes/s: lag "
                f"{_share(lags, 0.5):.2f} s at the median, {_share(lags, 0.95):.2f} s at the 95th "
                "percentile, "
                f"{lags[-1]:.2f} s at most; memory {samples[0].total_bytes >> 20} MB at the "
                f"beginning, {samples[-1].total_bytes >> 20} MB at the end: {asked.picture}"
            )
            return
        found = list(bench.measure(asked.rate, asked.seconds))
        console.print(promise_table(found))
        sys.exit(0 if all(promise.kept for promise in found) else 1)


class FollowBench:
    """A run that follows its source, and what is done to it."""

    def __init__(
        self, services: LocalServices, environment: Mapping[str, str], documents: int
    ) -> None:
        self._services, self._environment, self._documents = services, environment, documents
        self._source_url = environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
        self._source = pymongo.MongoClient[dict[str, Any]](self._source_url)
        target = environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"]
        self._target = pymongo.MongoClient[dict[str, Any]](target)
        self._orders = self._source["bench"]["orders"]
        for first in range(0, documents, _BATCH):
            self._orders.insert_many(
                [{"_id": n, "n": 0, "text": _PADDING} for n in range(first, first + _BATCH)]
            )
        names = ("--include", "bench.orders", "--to", "bench.orders")
        started = self._command("migrate", *names, "--follow", "--detach", "--json")
        self._run: str = json.loads(started.splitlines()[-1])["run"]
        settings = {name.removeprefix("FRAMEWORK_"): value for name, value in environment.items()}
        config = ConfigManager().load_config(overrides={}, defaults=settings)
        self._ledger = connect_ledger(config)
        self._wait(lambda: self._ledger.key_windows.is_copied(self._run))

    def close(self) -> None:
        """Close the clients of both servers."""
        self._source.close()
        self._target.close()

    def measure(self, rate: int, seconds: float) -> Iterator[Promise]:
        """Yield the figures, one after the other; the last one ends the run."""
        yield Promise("changes kept up with", self._kept_up_with(seconds), 10_000, False, "/s")
        yield Promise("backlog caught up with, keys", self._backlog(), 20_000, False, "/s")
        samples = list(self.samples(rate, seconds))
        lags = sorted(sample.lag_seconds for sample in samples)
        name = f"lag at {rate:,} changes/s"
        yield Promise(f"{name}, median", _share(lags, 0.5), 2, True, "s")
        yield Promise(f"{name}, 95th percentile", _share(lags, 0.95), 2, True, "s")
        grown = samples[-1].total_bytes / samples[0].total_bytes
        yield Promise(f"memory after {seconds:.0f} s, of that before", grown, 1.2, True)
        began = time.monotonic()
        self._command("cutover", self._run, "--block-writes")
        yield Promise("cut-over, the command", time.monotonic() - began, 15, True, "s")

    def samples(self, rate: int, seconds: float) -> Iterator[Sample]:
        """Lag and memory while the source changes at ``rate``.

        A probe is written to the source ten times a second; its age is looked at when it is at the
        target, so the lag is measured from write to write, and not taken from the run's figures.
        """
        probe = self._target["bench"]["orders"]
        began = time.monotonic()
        written = looked = 0.0
        memory = self._memory()
        last = 0.0
        with changing(self._source_url, self._documents, rate):
            while (now := time.monotonic()) - began < seconds:
                if now - written >= _PROBE_SECONDS:
                    written = now
                    change = {"$set": {"at": time.time()}}
                    self._orders.update_one({"_id": _PROBE}, change, upsert=True)
                if now - looked >= _MEMORY_SECONDS:
                    looked, memory = now, self._memory()
                found = probe.find_one({"_id": _PROBE})
                at = float(found["at"]) if found and "at" in found else 0.0
                if at > last:
                    last = at
                    yield Sample(now - began, time.time() - at, *memory)
                time.sleep(0.01)

    def _kept_up_with(self, seconds: float) -> float:
        """Return changes a second, from the first until the last is at the target."""
        began = time.monotonic()
        with changing(self._source_url, self._documents, None) as changes:
            time.sleep(seconds)
            changes.stop()
        self._wait(self._is_drained)
        return changes.count / (time.monotonic() - began)

    def _backlog(self) -> float:
        """Keys a second at which a change of every document is caught up with."""
        self._command("pause", self._run)
        before = self._figures().changes
        self._orders.update_many({}, {"$inc": {"n": 1}})
        self._wait(lambda: self._figures().changes - before >= self._documents)
        with ThreadPoolExecutor(1) as threads:
            resumed = threads.submit(self._command, "resume", self._run, "--detach")
            self._wait(lambda: self._ledger.state(self._run) is RunState.RUNNING)
            began = time.monotonic()  # not the start of Python
            self._wait(self._is_drained)
            seconds = time.monotonic() - began
            resumed.result()
        return self._documents / seconds

    def _is_drained(self) -> bool:
        """Whether the target has what the source has now."""
        barrier = int(self._source.admin.command("ping")["operationTime"].time)
        figures = self._figures()
        waiting = figures.windows_waiting or figures.entries_waiting or figures.hot_keys
        return not waiting and time.time() - figures.lag_seconds >= barrier

    def _figures(self) -> FollowFigures:
        ledger, run = self._ledger, self._run
        found = follow_figures(ledger, ledger.spec(run), ledger.progress(run))
        if found is None:
            raise RuntimeError(f"{run} does not follow")
        return found

    def _memory(self) -> tuple[int, int]:
        """Resident bytes of the worker's processes, and of Valkey."""
        pids = self._services.pids()
        worker = psutil.Process(pids["worker"])
        processes = [worker, *worker.children(recursive=True)]
        return (
            sum(process.memory_info().rss for process in processes),
            int(psutil.Process(pids["valkey"]).memory_info().rss),
        )

    def _command(self, *arguments: object) -> str:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-m", "producer", *map(str, arguments)],
                env={**os.environ, **self._environment, "PYTHONPATH": str(Path.cwd())},
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        return done.stdout

    def _wait(self, condition: Callable[[], bool]) -> None:
        while not condition():
            time.sleep(0.05)


@contextmanager
def following(documents: int) -> Iterator[FollowBench]:
    """Start a run of so many documents that follows; its servers end with it."""
    with LocalServices.in_temporary_folder() as services:
        binary = find_binary(MONGOD)
        names = ("mongod-source", "mongod-target")
        servers = services.start(*(Mongod(binary, name, replica_set=True) for name in names))
        services.start_valkey()
        environment = {
            "FRAMEWORK_BROKER_URL": services.redis_url,
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": str(servers[0].url),
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING": str(servers[1].url),
        }
        services.start_worker(environment, 2)
        bench = FollowBench(services, environment, documents)
        try:
            yield bench
        finally:
            bench.close()


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


if __name__ == "__main__":
    main()
