"""Runs under a random schedule of faults: ``python -m tests.faults.soak --minutes 10 --seed 7``.

Every other run is a situation in which a run might claim more than it has (``situations``). The
seed is printed first; the same seed draws the same faults and situations. Every run ends with a
comparison of all documents, and what happened goes to ``benchmarks/results/faults.json`` and
``situations.json``.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL
from typing import Any

import psutil
import pymongo
import redis

from dataworks_tasks.ledger.contract import RunState
from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig
from producer.cosmos_simulator.client_connection import DIALS_COMMAND
from producer.local.services import LocalServices
from tests.faults.situations import Ended, Situations
from tests.fleet import QUEUE_LISTS, Fleet, wait_until
from tests.support.exact import (
    expected_documents,
    fill_source,
    generate_arguments,
    migrate_arguments,
)
from tests.support.fault_record import FaultRecord, SituationRecord

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
        code = self._end(run_id)
        lost, duplicated = self._differences(collection)
        say(f"{run_id}: {', '.join(names)}: exit {code}, {lost} lost, {duplicated} duplicated")
        for name, seconds in recovered.items():
            record.add(name, lost, duplicated, seconds)
        if code or lost or duplicated:
            raise AssertionError(f"{run_id} is not exact: {self.producer.communicate()[0][-2000:]}")
        self.fleet.mongo[self.fleet.database].drop_collection(collection)

    def _end(self, run_id: str) -> int:
        """Return the producer's exit code; if it was killed, the fleet ends the run."""
        code: int = self.producer.wait(300)
        if code != -SIGKILL:
            return code
        wait_until(lambda: self.fleet.ledger.progress(run_id).finished_at, "the run ends", 300)
        return int(self.fleet.ledger.state(run_id) is not RunState.COMPLETE)

    def _draw(self, count: int) -> list[str]:
        """Different faults; each comes up once before any comes up again."""
        if len(self.deck) < count:
            self.deck = self.random.sample(sorted(self.faults), len(self.faults))
        drawn, self.deck = self.deck[:count], self.deck[count:]
        return drawn

    def total(self, make: object) -> tuple[int, ...]:
        """Return the number of documents, if the command takes one."""
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
        """Return the state of every part when work does not continue."""
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
    """Print a line about what happens, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def judge(record: SituationRecord, outcome: Ended) -> None:
    """Say what the verdict was beside what was found, and keep it on record."""
    verdict = "CLAIMS MORE" if outcome.claims_more else "claims less" if outcome.claims_less else ""
    say(f"{outcome.run_id}: {outcome.situation}: said {outcome.said!r}; found {outcome.found}")
    if verdict:
        say(f"{outcome.run_id}: {verdict}")
    record.add(
        outcome.situation,
        outcome.said.partition(";")[0],
        claims_more=outcome.claims_more,
        claims_less=outcome.claims_less,
    )


def soak(minutes: float, seed: int) -> tuple[FaultRecord, SituationRecord]:
    """Run rounds until the time is over, one of each kind at least.

    Raises AssertionError when a run under faults is not exact, or a run claims more than it has.
    """
    say(f"seed {seed}")
    record, said = FaultRecord(), SituationRecord()
    until = time.monotonic() + minutes * 60
    with ExitStack() as stack:
        services = stack.enter_context(LocalServices.in_temporary_folder())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services.start_stores(replica_set=True)
        fleet = _fleet(stack, services, folder, "0", services.mongodb_url)
        for name in WORKERS:
            services.start_worker(fleet.environment, 1, name)
        fill_source(fleet, DOCUMENTS)
        rounds = Soak(services, fleet, seed)
        situations = _situations(stack, services, folder, rounds)
        rounds.round(record)
        while True:
            for outcome in situations.draw():
                judge(said, outcome)
            if time.monotonic() >= until:
                break
            rounds.round(record)
    assert not said.claim_more, "a run claims more than it has"
    return record, said


def _fleet(
    stack: ExitStack, services: LocalServices, folder: Path, database: str, target: str
) -> Fleet:
    """Return a fleet with a database of Redis for itself."""
    broker = services.redis_url.removesuffix("/0") + f"/{database}"
    environment = {
        "FRAMEWORK_BROKER_URL": broker,
        "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": services.mongodb_url,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": target,
        "FRAMEWORK_STALL_SECONDS": "2",
    }
    mongo = stack.enter_context(pymongo.MongoClient[dict[str, Any]](services.mongodb_url))
    client = stack.enter_context(redis.Redis.from_url(broker))
    fleet = Fleet(environment, client, mongo, "shop", folder, services.start_worker)
    stack.callback(fleet.close)
    return fleet


def _situations(
    stack: ExitStack, services: LocalServices, folder: Path, rounds: Soak
) -> Situations:
    """With a second fleet, whose worker writes to a simulated account."""
    account = stack.enter_context(CosmosSimulator(SimulatorConfig(services.mongodb_url)))
    throttled = _fleet(stack, services, folder, "1", account.url)
    services.start_worker(throttled.environment, 1, "worker-of-the-account")
    admin = stack.enter_context(pymongo.MongoClient[dict[str, Any]](account.url)).admin

    def turn(dials: Mapping[str, Any]) -> None:
        admin.command({DIALS_COMMAND: dict(dials)})

    return Situations(rounds.fleet, throttled, turn, rounds.kill_child, rounds.random)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    chosen = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if chosen.seed is None else chosen.seed
    record, said = soak(chosen.minutes, seed)
    record.write()
    said.write()
    sys.stdout.write(record.table() + said.table())


if __name__ == "__main__":
    main()
