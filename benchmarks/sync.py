"""``python -m benchmarks.sync``: how fast a migration follows its source, and how far it is behind.

Two servers of its own, one worker of two processes, documents of 1 KB. Prints one figure a line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo

from dataworks_tasks.ledger.connect import connect_ledger
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.settings import ConfigManager
from producer.local.services import LocalServices
from producer.view.follow_figures import FollowFigures, follow_figures

_PADDING = "x" * 950
_BATCH = 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--rate", type=int, default=2_000, help="changes a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    with _fleet() as environment:
        url = environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
        with pymongo.MongoClient[dict[str, Any]](url) as client:
            orders = client["bench"]["orders"]
            _fill(orders, asked.documents)
            run = _start(environment)
            config = ConfigManager().load_config(overrides={}, defaults=environment)
            ledger = connect_ledger(config)
            _wait(lambda: ledger.key_windows.is_copied(run))
            _print("backlog_keys_per_second", _backlog(environment, ledger, run, orders, asked))
            lags = _lags(ledger, run, orders, asked.rate, asked.seconds)
            _print(f"lag_p50_at_{asked.rate}_per_second", lags[len(lags) // 2])
            _print(f"lag_p95_at_{asked.rate}_per_second", lags[int(len(lags) * 0.95)])
            began = time.monotonic()
            _command(environment, "cutover", run, "--quiet", "0s")
            _print("cut_over_seconds", time.monotonic() - began)


def _print(name: str, value: float) -> None:
    print(f"{name} {value:,.2f}", flush=True)


@contextmanager
def _fleet() -> Iterator[Mapping[str, str]]:
    with LocalServices.in_temporary_folder() as services:
        services.start_stores()
        environment = {
            "FRAMEWORK_BROKER_URL": services.redis_url,
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": services.mongodb_url,
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING": services.mongodb_url,
        }
        services.start_worker(environment, 2)
        yield environment


def _fill(orders: Any, count: int) -> None:
    for first in range(0, count, _BATCH):
        orders.insert_many(
            [{"_id": n, "n": 0, "text": _PADDING} for n in range(first, first + _BATCH)]
        )


def _command(environment: Mapping[str, str], *arguments: object) -> str:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "producer", *map(str, arguments)],
            env={**os.environ, **environment, "PYTHONPATH": str(Path.cwd())},
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return done.stdout


def _start(environment: Mapping[str, str]) -> str:
    names = ("--include", "bench.orders", "--to", "bench_copy.orders")
    printed = _command(environment, "migrate", *names, "--follow", "--detach", "--json")
    run: str = json.loads(printed.splitlines()[-1])["run"]
    return run


def _wait(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.05)


def _figures(ledger: Ledger, run: str) -> FollowFigures:
    found = follow_figures(ledger, ledger.spec(run), ledger.progress(run))
    assert found is not None
    return found


def _backlog(
    environment: Mapping[str, str],
    ledger: Ledger,
    run: str,
    orders: Any,
    asked: argparse.Namespace,
) -> float:
    """Keys a second at which a backlog of every key is caught up with."""
    _command(environment, "pause", run)
    orders.update_many({}, {"$inc": {"n": 1}})
    _wait(lambda: _figures(ledger, run).changes >= asked.documents)
    began = time.monotonic()
    _command(environment, "resume", run, "--detach")
    _wait(lambda: _is_drained(_figures(ledger, run)))
    return float(asked.documents / (time.monotonic() - began))


def _is_drained(figures: FollowFigures) -> bool:
    return not (figures.windows_waiting or figures.entries_waiting or figures.hot_keys)


def _lags(ledger: Ledger, run: str, orders: Any, rate: int, seconds: float) -> list[float]:
    """Return the lag, sampled ten times a second while ``rate`` documents a second change."""
    over = threading.Event()

    def write() -> None:
        number, began = 0, time.monotonic()
        while not over.is_set():
            hot = [pymongo.UpdateOne({"_id": 0}, {"$inc": {"n": 1}})] * 10
            cold = [
                pymongo.UpdateOne({"_id": number + each}, {"$inc": {"n": 1}}) for each in range(90)
            ]
            orders.bulk_write(hot + cold, ordered=False)
            number += 90
            over.wait(max(0.0, began + number / 90 * 100 / rate - time.monotonic()))

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found.append(_figures(ledger, run).lag_seconds)
        time.sleep(0.1)
    over.set()
    writer.join()
    return sorted(found)


if __name__ == "__main__":
    main()
