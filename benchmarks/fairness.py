"""``python -m benchmarks.fairness``: what runs that work side by side cost one another.

Two worker processes; a run of 10^8 documents with ``--max-rate 1000`` is there all the time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis
from rich.console import Console

from benchmarks.promises import Promise, promise_table
from benchmarks.runs import CommandLine
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.settings import ConfigManager
from producer.connections import Connections
from producer.drive.attach import set_going
from producer.drive.in_process import work_here
from producer.drive.observation import StopRequest
from producer.local.celery_services import CeleryWorker
from producer.local.environment import LocalAddresses
from producer.local.services import LocalServices
from producer.start.run_request import GenerationRequest
from producer.start.start_generation import start_generation

_RATE, _OTHER_RATE = 1000, 4000
_HUGE = 10**8
_SMALL_RUNS = 100
_ROUNDS = 5
_POLL_SECONDS = 0.02
_OBSERVED_SECONDS = 10.0


class Fairness:
    """Starts runs by the command line, and reads their outcome from the ledger."""

    def __init__(self, command: CommandLine, redis_url: str) -> None:
        self._command = command
        self._settings = command.addresses.settings
        self._ledger = RedisLedger(Redis.from_url(redis_url))
        self._numbers = iter(range(1, 10_000))

    def measure(self, documents: int) -> Iterator[Promise]:
        """Yield the rows of the table."""
        for _ in range(2):  # the first one warms the workers up
            alone = self._seconds(self._finished(documents))
        yield self._cost_alone(documents * 5)
        with self._going(_HUGE, "--max-rate", _RATE) as limited:
            self._wait(lambda: self._documents(limited) > 0)
            first, complete = self._small_run()
            yield Promise("first document of a run of 1,000", first, 2, True, "s")
            yield Promise("a run of 1,000 complete", complete, 5, True, "s")
            beside = self._seconds(self._finished(documents))
            yield Promise(f"a run of {documents:,}, of its time alone", beside / alone, 1.15, True)
            with self._going(_HUGE, "--max-rate", _OTHER_RATE) as other:
                self._wait(lambda: self._documents(other) > _OTHER_RATE)
                rates = self._rates(limited, other)
            for rate, wanted in zip(rates, (_RATE, _OTHER_RATE), strict=True):
                off = abs(rate / wanted - 1) * 100
                yield Promise(f"off its rate of {wanted:,}, beside the other", off, 5, True, "%")
        yield from self._unlimited()
        yield self._small_runs()

    def _cost_alone(self, documents: int) -> Promise:
        """One worker process with messages, turns and a driver, against this process without them.

        The best of five each, one after the other, so that both meet the same machine. It is
        measured between the first and the last tenth of the documents: the beginning and the end of
        runs have their own rows.
        """
        fleet, here = [], []
        for _ in range(_ROUNDS):
            here.append(self._steady(self._in_this_process(documents), documents))
            run = self._started(documents, "--max-processes", 1)
            fleet.append(self._steady(run, documents))
        name = f"a run of {documents:,} alone, of its time without a fleet"
        return Promise(name, min(fleet) / min(here), 1.02, True)

    def _steady(self, run: str, documents: int) -> float:
        self._wait(lambda: self._documents(run) >= documents * 0.1)
        began, first = time.monotonic(), self._documents(run)
        self._wait(lambda: self._documents(run) >= documents * 0.9)
        seconds, last = time.monotonic() - began, self._documents(run)
        self._wait(lambda: self._state(run) is RunState.COMPLETE)
        return seconds / (last - first)

    def _in_this_process(self, documents: int) -> str:
        """Begin a run that a thread of this process works on."""
        config = ConfigManager().load_config(defaults=self._settings)
        connections = Connections(config, in_process=True)
        collection = f"run{next(self._numbers)}"
        request = GenerationRequest("service_order", documents, "fair", collection)
        spec = start_generation(request, config, connections)

        def work() -> None:
            with connections:
                work_here(connections, spec, (), lambda _: None, lambda: StopRequest.NONE)

        threading.Thread(target=work, daemon=True).start()
        return spec.run_id

    def _unlimited(self) -> Iterator[Promise]:
        with self._going(_HUGE) as one:
            self._wait(lambda: self._documents(one) > 0)
            began = time.monotonic()
            with self._going(_HUGE) as two:
                began = self._began(two, began)
                self._wait(lambda: self._documents(two) > 0)
                yield Promise("first document beside an unlimited run", time.monotonic() - began,
                              3, True, "s")  # fmt: skip
                rates = self._rates(one, two)
        share = rates[1] / sum(rates)
        yield Promise("off a half of the fleet", abs(share - 0.5) * 200, 10, True, "%")

    def _small_runs(self) -> Promise:
        """Measure runs of 1,000 documents, one after the other and then all at once."""
        one = min(self._seconds(self._finished(1000)) for _ in range(5))
        runs = self._recorded(_SMALL_RUNS)
        self._wait(lambda: all(self._state(run) is RunState.COMPLETE for run in runs), 300)
        moments = [self._ledger.progress(run) for run in runs]
        ends = [p.finished_at.timestamp() for p in moments if p.finished_at is not None]
        seconds = max(ends) - min(p.created_at.timestamp() for p in moments)
        name = f"{_SMALL_RUNS} runs of 1,000, of the sum of their times alone"
        return Promise(name, seconds / (one * _SMALL_RUNS), 1.5, True)

    def _recorded(self, count: int) -> list[str]:
        """Start runs from one process: a command for each would take longer than the run."""
        runs = []
        config = ConfigManager().load_config(defaults=self._settings)
        with Connections(config) as connections:
            for _ in range(count):
                collection = f"run{next(self._numbers)}"
                request = GenerationRequest("service_order", 1000, "fair", collection)
                spec = start_generation(request, config, connections)
                set_going(connections, spec)
                runs.append(spec.run_id)
        return runs

    def _small_run(self) -> tuple[float, float]:
        run = self._started(1000)
        created = self._ledger.progress(run).created_at.timestamp()
        self._wait(lambda: self._documents(run) > 0)
        first = time.time() - created
        self._wait(lambda: self._state(run) is RunState.COMPLETE)
        return first, self._seconds(run)

    def _started(self, documents: int, *options: object) -> str:
        place = ("--database", "fair", "--collection", f"run{next(self._numbers)}")
        arguments = ("generate", "service_order", "--total", documents, *place, *options)
        command = (sys.executable, "-m", "producer", *map(str, arguments), "--detach", "--json")
        done = subprocess.run(
            command,
            env=self._command.environment,
            cwd=self._command.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return str(json.loads(done.stdout)["run"])

    def _finished(self, documents: int) -> str:
        run = self._started(documents)
        self._wait(lambda: self._state(run) is RunState.COMPLETE, 300)
        return run

    @contextmanager
    def _going(self, documents: int, *options: object) -> Iterator[str]:
        run = self._started(documents, *options)
        try:
            yield run
        finally:
            working = frozenset({RunState.RUNNING})
            self._ledger.change_state(run, working, RunState.CANCELLED)

    def _rates(self, *runs: str) -> list[float]:
        time.sleep(1)
        before, began = [self._documents(run) for run in runs], time.monotonic()
        time.sleep(_OBSERVED_SECONDS)
        seconds = time.monotonic() - began
        after = [self._documents(run) for run in runs]
        return [(last - first) / seconds for first, last in zip(before, after, strict=True)]

    def _began(self, run: str, otherwise: float) -> float:
        """When the run was recorded, on this process' clock."""
        age = time.time() - self._ledger.progress(run).created_at.timestamp()
        return max(otherwise, time.monotonic() - age)

    def _seconds(self, run: str) -> float:
        progress = self._ledger.progress(run)
        if progress.finished_at is None:
            raise RuntimeError(f"{run} is {progress.state}: {progress.last_error}")
        return (progress.finished_at - progress.created_at).total_seconds()

    def _documents(self, run: str) -> int:
        return self._ledger.progress(run).counters.get("documents", 0)

    def _state(self, run: str) -> RunState:
        return self._ledger.state(run)

    def _wait(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {seconds:.0f} s")
            time.sleep(_POLL_SECONDS)


def main() -> None:
    """Measure, print the table, and exit with 1 when a bound is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    options = parser.parse_args()
    found = []
    with LocalServices.in_temporary_folder() as services:
        services.start_stores()
        addresses = LocalAddresses(services.redis_url, services.mongodb_url)
        command = CommandLine(addresses, services.folder, {"FRAMEWORK_LOG_LEVEL": "WARNING"})
        services.start(CeleryWorker(command.environment, "worker-1", 2))
        for promise in Fairness(command, services.redis_url).measure(options.documents):
            print(f"{promise.name}: {promise.value:.2f} {promise.unit}", flush=True)
            found.append(promise)
    Console(highlight=False).print(promise_table(found))
    sys.exit(0 if all(promise.kept for promise in found) else 1)


if __name__ == "__main__":
    main()
