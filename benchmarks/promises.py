"""What is promised besides rates: how soon the first document is there, what a slow wire costs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bson import encode
from rich.table import Table

from benchmarks.limits import Site
from benchmarks.runs import CommandLine
from benchmarks.slow_wire import SlowWire
from benchmarks.templates import service_order
from dataworks_tasks import BaseDataGenerator, GeneratorType
from dataworks_tasks.generate.custom.custom_source import CustomSource
from dataworks_tasks.runs.namespace import Namespace
from producer.local.celery_services import CeleryWorker
from producer.local.services import LocalServices

_FIRST = Namespace("bench", "first")
_WARM_UP = 20_000
_POLL_SECONDS = 0.005
_LONGEST_SECONDS = 60.0
_ROUND_TRIP_SECONDS = 0.020


@dataclass(frozen=True, slots=True)
class Promise:
    """A figure and its bound: at most or at least."""

    name: str
    value: float
    bound: float
    at_most: bool
    unit: str = ""

    @property
    def kept(self) -> bool:
        """Whether the figure is on the right side of its bound."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return {**asdict(self), "kept": self.kept}


class UserProfileGenerator(BaseDataGenerator):
    """A generator as its users write them: Faker, a choice, a few numbers."""

    def __init__(self) -> None:
        super().__init__(GeneratorType.CUSTOM)

    def generate_document(self, document_id: int | None = None) -> Mapping[str, Any]:
        """Return a user's profile."""
        return {
            "user_id": document_id,
            "name": self.fake.name(),
            "email": self.fake.email(),
            "phone": self.fake.phone_number(),
            "address": {"street": self.fake.street_address(), "city": self.fake.city()},
            "company": self.fake.company(),
            "age": self.random.randint(18, 90),
            "plan": self.random.choice(["free", "plus", "team"]),
        }


def custom_generator(documents: int = 5_000) -> Promise:
    """Measure what DataWorks adds to a user's generator: seeding, ``_id`` and batches.

    The user's own cost is the function and the encoding of its result, with a Faker as fast as
    ours: Faker's default, weighted draws, takes six times as long.
    """
    generator = UserProfileGenerator()
    source = CustomSource(generator, 1)
    source.generate(0, 200)
    shares = []
    for start in range(0, documents, documents // 5):
        stop = start + documents // 5
        began = time.process_time()
        for number in range(start, stop):
            encode(generator.generate_document(number))
        own = time.process_time() - began
        began = time.process_time()
        source.generate(start, stop)
        shares.append((time.process_time() - began) / own - 1)
    added = sorted(shares)[len(shares) // 2]
    return Promise("added to a Python generator's own time", added, 0.20, at_most=True)


def first_document(site: Site, command: CommandLine) -> float:
    """Seconds from typing ``dataworks generate`` to the first document in the collection."""
    where = ("--database", _FIRST.database, "--collection", _FIRST.collection)
    with site.client() as client:
        client.drop(_FIRST)
        collection = client.collection(_FIRST)
        began = time.monotonic()
        arguments = ("generate", "service_order", *where, "--total", "20000", "--json")
        running = subprocess.Popen(
            [sys.executable, "-m", "producer", *arguments],
            env=command.environment,
            cwd=command.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while collection.find_one({}, {"_id": 1}) is None:
            if time.monotonic() - began > _LONGEST_SECONDS or running.poll():
                raise RuntimeError("no document came")
            time.sleep(_POLL_SECONDS)
        seconds = time.monotonic() - began
        running.wait(_LONGEST_SECONDS)
    return seconds


def promise_table(found: Sequence[Promise]) -> Table:
    """Return the other figures as a table for people."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("promise")
    for name in ("found", "bound"):
        shown.add_column(name, justify="right")
    for item in found:
        color = "green" if item.kept else "red"
        bound = f"{'at most' if item.at_most else 'at least'} {item.bound:.2f} {item.unit}"
        shown.add_row(item.name, f"[{color}]{item.value:.2f} {item.unit}[/{color}]", bound)
    return shown


def slow_wire(services: LocalServices, command: CommandLine, documents: int) -> Promise:
    """Measure the rate with 20 ms added to each database round trip, as a share of that without.

    Both go through the same proxy, each with its own workers.
    """
    with SlowWire(command.addresses.mongodb_url) as wire:
        addresses = replace(command.addresses, mongodb_url=wire.url)
        there = replace(command, addresses=addresses, settings={"FRAMEWORK_QUEUE": "far"})
        names = [f"far-worker-{number}" for number in (1, 2)]
        services.start(*(CeleryWorker(there.environment, name) for name in names))
        try:
            rates = [_rate(there, wire, delay, documents) for delay in (0, _ROUND_TRIP_SECONDS / 2)]
        finally:
            for name in names:
                services.stop(name)
    share = rates[1] / rates[0]
    return Promise("rate with 20 ms round trips, of that without", share, 0.6, at_most=False)


def _rate(command: CommandLine, wire: SlowWire, delay: float, documents: int) -> float:
    wire.delay_seconds = delay
    path = command.folder / "far.json"
    path.write_text(json.dumps(service_order()))
    where = ("--database", "bench", "--collection", "far", "--drop", "--total")
    command.run("generate", path, *where, _WARM_UP)
    return command.run("generate", path, *where, documents).rate
