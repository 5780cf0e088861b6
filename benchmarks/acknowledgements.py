"""``make load``: how fast the ledger acknowledges ranges of one document, and how small it stays.

Each client is a process like a worker's, that acknowledges one range after the other. Once the
ranges come in order, each client with a part of its own, as workers get them; once in random order,
which leaves the most gaps. A driver keeps the history of the run's rate meanwhile, as in every run.
Writes ``acknowledgements.json``; fails when a promise is not kept.

``--pairs N`` measures N times with and without that history, in turns, and what it costs: in
processor time of Valkey and of the clients, which other work on the machine does not prolong as it
does the time on the clock.
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
from typing import NamedTuple

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
    server_seconds: float
    client_seconds: float
    """Processor time of Valkey, and of the clients and of who keeps the history."""

    @property
    def rate(self) -> float:
        """Acknowledgements a second."""
        return self.ranges / self.seconds

    @property
    def server_microseconds(self) -> float:
        """Processor time of Valkey for one acknowledgement."""
        return 1e6 * self.server_seconds / self.ranges

    @property
    def client_microseconds(self) -> float:
        """Processor time of the clients for one acknowledgement."""
        return 1e6 * self.client_seconds / self.ranges

    @property
    def kept(self) -> bool:
        """Whether all that is promised is kept."""
        fast = self.rate >= LEAST_RATE
        return self.exact and fast and self.most_bytes <= MOST_BYTES[self.order]


class _ClientPart(NamedTuple):
    """How often a client closed the last gap, and its processor time."""

    closings: int
    seconds: float


def main() -> None:
    """Measure, write, and exit 1 unless what is promised is kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.acknowledgements")
    parser.add_argument("--ranges", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--order", action="append", choices=_ORDERS, help="both if not given")
    parser.add_argument("--pairs", type=int, help="measure what the history costs")
    chosen = parser.parse_args()
    if chosen.pairs:
        sys.exit(0 if _pairs(chosen.pairs, chosen.ranges, chosen.clients) else 1)
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


def _pairs(pairs: int, ranges: int, clients: int) -> bool:
    """Say what the history costs; whether it is little enough."""
    server, client = [], []
    for number in range(pairs):
        turns = (True, False) if number % 2 else (False, True)
        found = {on: measure(_ORDERS[0], ranges, clients, has_history=on) for on in turns}
        server.append(found[True].server_seconds / found[False].server_seconds)
        client.append(found[True].client_seconds / found[False].client_seconds)
        for on in (False, True):
            sys.stdout.write(
                f"{'with' if on else 'without'} history: {found[on].rate:,.0f}/s, for each "
                f"Valkey {found[on].server_microseconds:.1f} us, "
                f"clients {found[on].client_microseconds:.1f} us\n"
            )
        sys.stdout.flush()
    medians = statistics.median(server), statistics.median(client)
    sys.stdout.write(
        f"median of {pairs} pairs: Valkey {medians[0] - 1:+.2%}, clients {medians[1] - 1:+.2%}; "
        f"at most {MOST_HISTORY_COST:+.0%}\n"
    )
    return max(medians) - 1 <= MOST_HISTORY_COST


def measure(order: str, ranges: int, clients: int, *, has_history: bool = True) -> Acknowledgements:
    """Acknowledge every range of a run on a Valkey of its own, with its append-only file."""
    with LocalServices.in_temporary_folder() as services:
        services.start_valkey()
        url = services.redis_url
        spec, ledger = _spec(ranges), _ledger(url)
        ledger.create(spec, ranges)
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(clients, mp_context=spawned) as pool, Redis.from_url(url) as redis:
            wait([pool.submit(time.sleep, 0.5) for _ in range(clients)])  # started before the clock
            began, used = time.monotonic(), time.process_time()
            server_before = _server_seconds(redis)
            going = [
                pool.submit(_acknowledge, url, spec.run_id, order, ranges, (client, clients))
                for client in range(clients)
            ]
            most_bytes = _watch(redis, going, spec.run_id if has_history else None)
            seconds = time.monotonic() - began
            server_seconds = _server_seconds(redis) - server_before
            closings = sum(each.result().closings for each in going)
            client_seconds = sum(each.result().seconds for each in going)
            client_seconds += time.process_time() - used
            most_bytes = max(most_bytes, _ledger_bytes(redis))
        exact = closings == 1 and _is_exact(ledger, spec.run_id, ranges)
        ledger.close()
        return Acknowledgements(
            order, clients, ranges, seconds, most_bytes, exact, server_seconds, client_seconds
        )


def _server_seconds(redis: Redis) -> float:
    """Return the processor time that Valkey has used, with the kernel's for it."""
    used = redis.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


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


def _acknowledge(
    url: str, run_id: str, order: str, ranges: int, part: tuple[int, int]
) -> _ClientPart:
    """Acknowledge one client's part."""
    ledger = _ledger(url)
    closings, used = 0, time.process_time()
    for index in _indexes(order, ranges, *part):
        closings += ledger.acknowledge(
            run_id, BatchRange(index, index + 1), _RESULT
        ).closed_last_gap
    seconds = time.process_time() - used
    ledger.close()
    return _ClientPart(closings, seconds)


def _indexes(order: str, ranges: int, client: int, clients: int) -> Sequence[int]:
    if order == "in order":
        return range(client * ranges // clients, (client + 1) * ranges // clients)
    shuffled = list(range(ranges))
    random.Random(1).shuffle(shuffled)
    return shuffled[client::clients]


def _watch(redis: Redis, going: Sequence[Future[_ClientPart]], sampled: str | None) -> int:
    """Return the most bytes that the ledger held until all futures are done.

    ``sampled``: the run whose history is kept meanwhile.
    """
    ledger, most = RedisLedger(redis), 0
    while wait(going, timeout=_SAMPLE_SECONDS).not_done:
        most = max(most, _ledger_bytes(redis))
        if sampled is not None:
            ledger.history.sample(sampled)
    return most


def _ledger_bytes(redis: Redis) -> int:
    return sum(redis.memory_usage(key) or 0 for key in redis.scan_iter(match="dataworks:*"))


def _is_exact(ledger: RedisLedger, run_id: str, ranges: int) -> bool:
    progress = ledger.progress(run_id)
    counted = {name: count * ranges for name, count in _RESULT.counters.items()}
    return (progress.acknowledged, progress.gaps, progress.counters) == (ranges, 0, counted)


if __name__ == "__main__":
    main()
