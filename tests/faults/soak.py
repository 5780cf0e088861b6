"""Runs under a random schedule of faults: ``python -m tests.faults.soak --minutes 10 --seed 7``.

The seed is printed first; the same seed draws the same faults. Every run ends with a comparison of
all documents, and what happened goes to ``benchmarks/results/faults.json``.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL
from typing import Any

import psutil
import pymongo
import redis

from producer.local.services import LocalServices
from tests.fleet import QUEUE_LISTS, Fleet, wait_until
from tests.support.exact import (
    expected_documents,
    fill_source,
    generate_arguments,
    migrate_arguments,
)
from tests.support.fault_record import FaultRecord

DOCUMENTS = 12_000
RATE = 3000
WORKERS = ("worker-1", "worker-2")


class Soak:
    """One set of servers, two workers, and the faults that can be done to them."""

    def __init__(self, services: LocalServices, fleet: Fleet, seed: int) -> None:
        self.services = services
        self.fleet = fleet
        self.random = random.Random(seed)
        self.producer: Any = None
        self.numbers = itertools.count()
        self.deck: list[str] = []
        self.faults: dict[str, Callable[[], None]] = {
            "SIGKILL of a pool process": self.kill_child,
            "SIGKILL of a worker": self.kill_worker,
            "SIGKILL of the producer": self.kill_producer,
            "SIGKILL of Valkey": lambda: self.restart("valkey"),
            "SIGKILL of mongod": lambda: self.restart("mongod"),
            "SIGSTOP of a worker for 3 s": self.suspend_worker,
            "queue flushed": self.flush_queue,
            "messages duplicated": self.double_messages,
            "messages held back for 1 s and shuffled": self.delay_messages,
            "garbage in the queue": self.put_garbage,
        }

    def kill_child(self) -> None:
        worker = self.services.pids()[self.random.choice(WORKERS)]
        for child in itertools.islice(psutil.Process(worker).children(), 1):
            child.kill()

    def kill_worker(self) -> None:
        self.restart(self.random.choice(WORKERS))

    def kill_producer(self) -> None:
        self.producer.kill()
        self.producer.wait()

    def restart(self, name: str) -> None:
        self.services.restart(name, SIGKILL)

    def suspend_worker(self) -> None:
        pid = self.services.pids()[self.random.choice(WORKERS)]
        processes = [psutil.Process(pid), *psutil.Process(pid).children()]
        for process in processes:
            process.suspend()
        time.sleep(3)
        for process in processes:
            process.resume()

    def flush_queue(self) -> None:
        self.fleet.redis.delete(*QUEUE_LISTS)

    def double_messages(self) -> None:
        messages = self.fleet.waiting()
        if messages:
            self.fleet.redis.lpush("dataworks", *messages)

    def delay_messages(self) -> None:
        with self.fleet.redis.pipeline(transaction=True) as pipe:
            for name in QUEUE_LISTS:
                pipe.lrange(name, 0, -1)
            pipe.delete(*QUEUE_LISTS)
            *lists, _ = pipe.execute()
        messages = [message for each in lists for message in each]
        time.sleep(1)
        if messages:
            self.fleet.redis.lpush("dataworks", *self.random.sample(messages, len(messages)))

    def put_garbage(self) -> None:
        self.fleet.redis.lpush("dataworks", b"\x00 garbage", b"{}", b"[]")

    def round(self, record: FaultRecord) -> None:
        """One run with up to three faults, and the comparison at its end."""
        collection = f"run{next(self.numbers)}"
        makers: list[Callable[..., tuple[object, ...]]] = [generate_arguments, migrate_arguments]
        make = self.random.choice(makers)
        arguments = make(
            self.fleet, *self.total(make), "--max-rate", RATE, collection=collection, batch_size=300
        )
        before = set(self.fleet.ledger.run_ids())
        self.producer = self.fleet.start(*arguments)
        run_id = wait_until(
            lambda: next(iter(set(self.fleet.ledger.run_ids()) - before), None), "a run is recorded"
        )
        names = self._draw(self.random.randint(1, 3))
        pauses = [self.random.uniform(0.3, 2.0) for _ in names]
        recovered: dict[str, float] = {}
        for name, pause in zip(names, pauses, strict=True):
            time.sleep(pause)
            say(f"{run_id}: {name}")
            begun = time.monotonic()
            self.faults[name]()
            recovered[name] = self._seconds_to_recover(run_id, begun)
        code = self.producer.wait(300)
        lost, duplicated = self._differences(collection)
        say(f"{run_id}: {', '.join(names)}: exit {code}, {lost} lost, {duplicated} duplicated")
        for name, seconds in recovered.items():
            record.add(name, lost, duplicated, seconds)
        if code or lost or duplicated:
            raise AssertionError(f"{run_id} is not exact: {self.producer.communicate()[0][-2000:]}")
        self.fleet.mongo[self.fleet.database].drop_collection(collection)

    def _draw(self, count: int) -> list[str]:
        """Different faults; each comes up once before any comes up again."""
        if len(self.deck) < count:
            self.deck = self.random.sample(sorted(self.faults), len(self.faults))
        drawn, self.deck = self.deck[:count], self.deck[count:]
        return drawn

    def total(self, make: object) -> tuple[int, ...]:
        """The number of documents, where the command takes one."""
        return (DOCUMENTS,) if make is generate_arguments else ()

    def _seconds_to_recover(self, run_id: str, begun: float) -> float:
        """From the fault until something more is acknowledged, or nothing is left to do."""
        start = self._acknowledged(run_id)

        def moved() -> bool:
            now = self._acknowledged(run_id)
            return now is not None and (start is None or now > start or self._done(run_id))

        try:
            wait_until(moved, "work continues", 120)
        except AssertionError:
            say(self._state(run_id))
            raise
        return time.monotonic() - begun

    def _state(self, run_id: str) -> str:
        """The state of every part when work does not continue."""
        exit_code = self.producer.poll()
        said = [
            str(self.fleet.ledger.progress(run_id)),
            f"{self.fleet.redis.llen('dataworks')} messages wait",
            f"the producer ended with {exit_code}: {self.producer.communicate()[0][-6000:]}"
            if exit_code is not None
            else "the producer runs",
        ]
        for name in WORKERS:
            said += [f"{name}:", self.services.log(name).read_text()[-4000:]]
        return "\n".join(said)

    def _acknowledged(self, run_id: str) -> int | None:
        return self.fleet.ledger.progress(run_id).acknowledged

    def _done(self, run_id: str) -> bool:
        progress = self.fleet.ledger.progress(run_id)
        return progress.total is not None and progress.acknowledged == progress.total

    def _differences(self, collection: str) -> tuple[int, int]:
        wanted = Counter(expected_documents(DOCUMENTS))
        found = Counter(self.fleet.raw_documents(collection))
        return sum((wanted - found).values()), sum((found - wanted).values())


def say(text: str) -> None:
    """A line of what happens, seen at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def soak(minutes: float, seed: int) -> FaultRecord:
    """Rounds until the time is over, one at least. Raises AssertionError when one is not exact."""
    say(f"seed {seed}")
    record = FaultRecord()
    until = time.monotonic() + minutes * 60
    with (
        LocalServices.in_temporary_folder() as services,
        tempfile.TemporaryDirectory() as folder,
    ):
        services.start_stores()
        environment = {
            "FRAMEWORK_BROKER_URL": services.redis_url,
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": services.mongodb_url,
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING": services.mongodb_url,
            "FRAMEWORK_STALL_SECONDS": "2",
        }
        for name in WORKERS:
            services.start_worker(environment, 1, name)
        with (
            pymongo.MongoClient[dict[str, Any]](services.mongodb_url) as mongo,
            redis.Redis.from_url(services.redis_url) as client,
        ):
            fleet = Fleet(environment, client, mongo, "shop", Path(folder), services.start_worker)
            try:
                fill_source(fleet, DOCUMENTS)
                rounds = Soak(services, fleet, seed)
                rounds.round(record)
                while time.monotonic() < until:
                    rounds.round(record)
            finally:
                fleet.close()
    return record


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    chosen = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if chosen.seed is None else chosen.seed
    record = soak(chosen.minutes, seed)
    record.write()
    sys.stdout.write(record.table())


if __name__ == "__main__":
    main()
