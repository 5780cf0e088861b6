"""``make load``: how fast the ledger acknowledges ranges of one document, and how small it stays.

Each client is a process like a worker's, that acknowledges one range after the other. Once the
ranges come in order, each client with a part of its own, as workers get them; once in random order,
which leaves the most gaps. A driver keeps the history of the run's rate meanwhile, as in every run.
Writes ``acknowledgements.json``; fails when a promise is not kept.

``--pairs N`` measures N times with and without that history, in turns, and what it costs: in
processor time of Valkey and of the client, which other work on the machine prolongs less than time
on the clock.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from redis import Redis

from benchmarks.__main__ import RESULTS
from dataworks_tasks.ledger.connect import connect_ledger
from dataworks_tasks.ledger.contract import RangeResult
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationJob, GenerationPart, RunSpec
from dataworks_tasks.settings import FrameworkConfig
from producer.local.services import LocalServices

LEAST_RATE = 3000
"""Acknowledgements a second."""
MOST_BYTES = {"in order": 64 * 1024, "in random order": 64 * 1024 * 1024}
"""The ledger's keys at their largest. A gap costs about 100 bytes; in random order a million ranges
leave a quarter of a million gaps."""
MOST_HISTORY_COST = 0.03
"""The share of the rate that the history of a run may cost."""
_SAMPLE_SECONDS = 0.5
"""How often a driver adds to the history, at most."""
_ORDERS = tuple(MOST_BYTES)
_RESULT = RangeResult({"documents": 1, "written": 1, "bytes": 1200})


@dataclass(frozen=True, slots=True)
class Acknowledgements:
    """The outcome for one order."""

    order: str
    clients: int
    ranges: int
    seconds: float
    most_bytes: int
    exact: bool
    """Whether every range counted once, one call closed the last gap, and one interval is left."""

    @property
    def rate(self) -> float:
        """Acknowledgements a second."""
        return self.ranges / self.seconds

    @property
    def kept(self) -> bool:
        """Whether every promise is kept."""
        fast = self.rate >= LEAST_RATE
        return self.exact and fast and self.most_bytes <= MOST_BYTES[self.order]


def main() -> None:
    """Measure, write, and exit 1 unless every promise is kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.acknowledgements")
    parser.add_argument("--ranges", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--order", action="append", choices=_ORDERS, help="both if not given")
    parser.add_argument("--pairs", type=int, help="measure what the history costs")
    chosen = parser.parse_args()
    if chosen.pairs:
        sys.exit(0 if _pairs(chosen.pairs) else 1)
    found = []
    for order in chosen.order or _ORDERS:
        measured = measure(order, chosen.ranges, chosen.clients)
        found.append(measured)
        sys.stdout.write(
            f"{order}: {measured.ranges:,} ranges by {measured.clients} clients, "
            f"{measured.rate:,.0f}/s, ledger at most {measured.most_bytes:,} bytes, "
            f"{'exact' if measured.exact else 'NOT EXACT'}\n"
        )
        sys.stdout.flush()
    RESULTS.mkdir(exist_ok=True)
    figures = [{**asdict(each), "rate": each.rate, "kept": each.kept} for each in found]
    (RESULTS / "acknowledgements.json").write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(0 if all(each.kept for each in found) else 1)


def _pairs(pairs: int) -> bool:
    """Print what the history costs; return whether it is little enough.

    Blocks with and without a look of the driver take turns on one ledger, so that the machine is
    the same for both. A block is what a driver sees between two looks at the least rate promised.
    """
    block = int(LEAST_RATE * _SAMPLE_SECONDS)
    with LocalServices.in_temporary_folder() as services:
        services.start_valkey()
        ranges = 2 * (pairs + 1) * block
        spec, ledger = _spec(ranges), _ledger(services.redis_url)
        ledger.create(spec, ranges)
        with Redis.from_url(services.redis_url) as redis:
            first = 0
            costs: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
            for number in range(pairs + 1):
                for has_history in (True, False) if number % 2 else (False, True):
                    before = _server_seconds(redis), time.process_time()
                    for index in range(first, first + block):
                        ledger.acknowledge(spec.run_id, BatchRange(index, index + 1), _RESULT)
                    if has_history:
                        ledger.history.sample(spec.run_id)
                    first += block
                    client = time.process_time() - before[1]
                    if number:  # the first pair warms up
                        costs[has_history].append((_server_seconds(redis) - before[0], client))
        ledger.close()
    most = 0.0
    for position, who in enumerate(("Valkey", "client")):
        each = {on: statistics.median(cost[position] for cost in costs[on]) for on in costs}
        shares = [
            one[position] / other[position] - 1
            for one, other in zip(costs[True], costs[False], strict=True)
        ]
        most = max(most, statistics.median(shares))
        sys.stdout.write(
            f"{who}: {1000 * each[False] / block:.3f} s of processor for 1,000 acknowledgements, "
            f"{1000 * each[True] / block:.3f} s with the history; median of {pairs} pairs "
            f"{statistics.median(shares):+.2%}\n"
        )
    sys.stdout.write(f"at most {MOST_HISTORY_COST:+.0%}\n")
    return most <= MOST_HISTORY_COST


def _server_seconds(redis: Redis) -> float:
    """Return the processor time that Valkey has used, with the kernel's for it."""
    used = redis.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def measure(order: str, ranges: int, clients: int) -> Acknowledgements:
    """Acknowledge every range of a run on a Valkey of its own, with its append-only file."""
    with LocalServices.in_temporary_folder() as services:
        services.start_valkey()
        url = services.redis_url
        spec, ledger = _spec(ranges), _ledger(url)
        ledger.create(spec, ranges)
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(clients, mp_context=spawned) as pool, Redis.from_url(url) as redis:
            wait([pool.submit(time.sleep, 0.5) for _ in range(clients)])  # started before the clock
            began = time.monotonic()
            going = [
                pool.submit(_acknowledge, url, spec.run_id, order, ranges, (client, clients))
                for client in range(clients)
            ]
            most_bytes = _watch(redis, going, spec.run_id)
            seconds = time.monotonic() - began
            closings = sum(each.result() for each in going)
            most_bytes = max(most_bytes, _ledger_bytes(redis))
        exact = closings == 1 and _is_exact(ledger, spec.run_id, ranges)
        ledger.close()
        return Acknowledgements(order, clients, ranges, seconds, most_bytes, exact)


def _spec(ranges: int) -> RunSpec:
    part = GenerationPart(namespace=Namespace("load", "flat"), position=0, first=0, count=ranges)
    return RunSpec(
        run_id="gen-20260101-000000-0000",
        created_at=datetime.now(UTC),
        batch_size=1,
        target_fingerprint="nowhere:27017",
        job=GenerationJob(name="acknowledgements", seed=1, parts=(part,), probe_digest="-"),
    )


def _ledger(url: str) -> RedisLedger:
    return connect_ledger(FrameworkConfig(broker_url=url, ledger_url=url))


def _acknowledge(url: str, run_id: str, order: str, ranges: int, part: tuple[int, int]) -> int:
    """Acknowledge one client's part; return how often that closed the last gap."""
    ledger = _ledger(url)
    closings = 0
    for index in _indexes(order, ranges, *part):
        closings += ledger.acknowledge(
            run_id, BatchRange(index, index + 1), _RESULT
        ).closed_last_gap
    ledger.close()
    return closings


def _indexes(order: str, ranges: int, client: int, clients: int) -> Sequence[int]:
    if order == "in order":
        return range(client * ranges // clients, (client + 1) * ranges // clients)
    shuffled = list(range(ranges))
    random.Random(1).shuffle(shuffled)
    return shuffled[client::clients]


def _watch(redis: Redis, going: Sequence[Future[int]], run_id: str) -> int:
    """Keep the run's history until all futures are done, and return the ledger's most bytes."""
    ledger, most = RedisLedger(redis), 0
    while wait(going, timeout=_SAMPLE_SECONDS).not_done:
        most = max(most, _ledger_bytes(redis))
        ledger.history.sample(run_id)
    return most


def _ledger_bytes(redis: Redis) -> int:
    return sum(redis.memory_usage(key) or 0 for key in redis.scan_iter(match="dataworks:*"))


def _is_exact(ledger: RedisLedger, run_id: str, ranges: int) -> bool:
    progress = ledger.progress(run_id)
    counted = {name: count * ranges for name, count in _RESULT.counters.items()}
    return (progress.acknowledged, progress.gaps, progress.counters) == (ranges, 0, counted)


if __name__ == "__main__":
    main()
