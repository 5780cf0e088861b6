"""``python -m benchmarks.many_processes``: what a message and a worker cost Redis.

Real workers do runs of nearly empty ranges, so that messages, ledger and run drivers are all there
is. What counts is the CPU time of Redis, which one core has to bear however many machines take
part. From it follows what a fleet of 1,000 processes asks of Redis.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from redis import Redis
from rich.console import Console
from rich.table import Table

from benchmarks.runs import CommandLine
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.worker_registry import LivingWorker
from dataworks_tasks.worker.presence import PRESENCE_SECONDS
from producer.local.celery_services import CeleryWorker
from producer.local.environment import LocalAddresses
from producer.local.services import LocalServices

FLEET_PROCESSES = 1000
FLEET_DOCUMENTS = 10**10
DOCUMENTS_A_MESSAGE = 10_000
DOCUMENTS_A_SECOND = 2_000
"""Of one process, against a target over a network."""
_IDLE_SECONDS = 10.0
_BATCH = 2


@dataclass(frozen=True, slots=True)
class RedisCosts:
    """``messages_per_second``: of this machine, all of whose programs share its cores."""

    messages: int
    messages_per_second: float
    microseconds_a_message: float
    microseconds_a_worker_second: float
    """Of a worker that has nothing to do: it looks for steps that are due, and says it is alive."""

    def share_of_a_core(self, workers: int) -> float:
        """Return what 1,000 processes in so many workers take of the core that Redis runs on."""
        messages = FLEET_PROCESSES * DOCUMENTS_A_SECOND / DOCUMENTS_A_MESSAGE
        used = messages * self.microseconds_a_message + workers * self.microseconds_a_worker_second
        return used / 1e6


def measure(
    command: CommandLine, redis: Redis, services: LocalServices, messages: int
) -> RedisCosts:
    """Do a run of ``messages`` ranges, and then nothing for a while."""
    own = _cpu_a_second(redis)
    services.start(CeleryWorker(command.environment, "worker-1", 2))
    _finished(command, redis, 100 * _BATCH)  # connections are open, scripts are loaded
    before, began = _cpu_seconds(redis), time.monotonic()
    _finished(command, redis, messages * _BATCH)
    seconds, used = time.monotonic() - began, _cpu_seconds(redis) - before
    _pretend(redis, FLEET_PROCESSES)
    time.sleep(2 * PRESENCE_SECONDS)  # the worker has noticed how many there are
    idle = max(0.0, _cpu_a_second(redis) - own)
    return RedisCosts(
        messages, messages / seconds, (used - own * seconds) / messages * 1e6, idle * 1e6
    )


def _finished(command: CommandLine, redis: Redis, documents: int) -> None:
    place = ("--database", "empty", "--collection", f"run{documents}", "--batch-size", str(_BATCH))
    words = ("generate", "sensors", "--total", str(documents), *place, "--detach", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "producer", *words],
        env={**os.environ, **command.environment},
        cwd=command.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    run, ledger = json.loads(done.stdout)["run"], RedisLedger(redis)
    while ledger.state(run) is not RunState.COMPLETE:
        time.sleep(0.2)


def _pretend(redis: Redis, workers: int) -> None:
    """Put so many workers on record: a worker looks less often the more there are."""
    registry = RedisLedger(redis).workers
    for number in range(workers):
        name = f"celery@host{number}"
        registry.enter(LivingWorker(f"w{number}", name, ("dataworks",), "prefork", 1, 0.0, "-"))


def _cpu_a_second(redis: Redis) -> float:
    """CPU seconds that Redis uses a second while no run is there; some of it is its own."""
    before = _cpu_seconds(redis)
    time.sleep(_IDLE_SECONDS)
    return (_cpu_seconds(redis) - before) / _IDLE_SECONDS


def _cpu_seconds(redis: Redis) -> float:
    found = redis.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


def _table(costs: RedisCosts) -> Table:
    table = Table("measured here", "")
    table.add_row("messages a second, two processes", f"{costs.messages_per_second:,.0f}")
    table.add_row("Redis' CPU time a message", f"{costs.microseconds_a_message:,.0f} us")
    table.add_row(
        "Redis' CPU time a second of an idle worker",
        f"{costs.microseconds_a_worker_second:,.0f} us",
    )
    for size in (4, 1):
        workers = FLEET_PROCESSES // size
        title = f"{FLEET_PROCESSES:,} processes, {size} a worker: share of Redis' core"
        table.add_row(title, f"{costs.share_of_a_core(workers):.0%}")
    hours = FLEET_DOCUMENTS / (FLEET_PROCESSES * DOCUMENTS_A_SECOND) / 3600
    table.add_row(
        f"{FLEET_DOCUMENTS:,} documents at {DOCUMENTS_A_SECOND:,}/s each", f"{hours:.1f} h"
    )
    return table


def main() -> None:
    """Measure, and print the table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_processes")
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with LocalServices.in_temporary_folder() as services:
        services.start_stores()
        addresses = LocalAddresses(services.redis_url, services.mongodb_url)
        command = CommandLine(addresses, services.folder, {"FRAMEWORK_LOG_LEVEL": "WARNING"})
        with Redis.from_url(services.redis_url) as redis:
            costs = measure(command, redis, services, options.messages)
    if options.json:
        print(json.dumps(asdict(costs)))
    else:
        Console(highlight=False).print(_table(costs))


if __name__ == "__main__":
    main()
