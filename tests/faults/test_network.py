"""Resets, stalls, a black hole and latency between workers and servers: runs stay exact."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from signal import SIGINT
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet
from tests.support.exact import (
    check_copied,
    check_exact,
    fill_source,
    generate_arguments,
    migrate_arguments,
)
from tests.support.tcp_proxy import TcpProxy

TOTAL = 12_000
RATE = 4000
_SOON_SECONDS = 12
"""Three seconds, once for the step at hand and once for the last look, and a busy machine."""
SERVERS = {
    "redis": "FRAMEWORK_BROKER_URL",
    "mongod": "FRAMEWORK_TARGET_DB_CONNECTION_STRING",
}


def resets(proxy: TcpProxy) -> None:
    for _ in range(5):
        proxy.reset()
        time.sleep(0.3)


def stall(proxy: TcpProxy) -> None:
    proxy.stalled = True
    time.sleep(5)
    proxy.stalled = False


def black_hole(proxy: TcpProxy) -> None:
    """Half-open sockets: both ends believe in a connection on which nothing arrives."""
    proxy.black_hole = True
    time.sleep(3)
    proxy.black_hole = False
    proxy.reset()


def latency(proxy: TcpProxy) -> None:
    proxy.latency_seconds = 0.2
    time.sleep(3)
    proxy.latency_seconds = 0.0


FAULTS: dict[str, Callable[[TcpProxy], None]] = {
    "resets": resets,
    "stall": stall,
    "black hole": black_hole,
    "latency": latency,
}


@pytest.fixture
def proxies(fleet: Fleet) -> Iterator[dict[str, TcpProxy]]:
    """Proxies between the fleet's workers and both servers."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(TcpProxy.before(fleet.environment[setting]))
            for name, setting in SERVERS.items()
        }


def start_worker(fleet: Fleet, proxies: dict[str, TcpProxy]) -> None:
    """Start a worker that reaches everything through the proxies.

    A run names its servers by host and port, so the whole fleet uses the same addresses for
    databases; only the producer's connection to Redis is direct.
    """
    mongod = proxies["mongod"].url(fleet.environment[SERVERS["mongod"]])
    fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"] = mongod
    fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"] = mongod
    redis = proxies["redis"].url(fleet.environment[SERVERS["redis"]])
    fleet.start_worker(2, {SERVERS["redis"]: redis})


@pytest.mark.parametrize(
    ("names", "total"),
    [
        pytest.param(["resets"], TOTAL, id="resets"),
        pytest.param(list(FAULTS), 3 * TOTAL, id="all", marks=pytest.mark.soak),
    ],
)
def test_a_generation_through_faults(
    fleet: Fleet, proxies: dict[str, TcpProxy], names: list[str], total: int
) -> None:
    start_worker(fleet, proxies)
    producer = fleet.start(*generate_arguments(fleet, total, "--max-rate", RATE, batch_size=500))
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.05)
    for server in SERVERS:
        for name in names:
            FAULTS[name](proxies[server])
    assert producer.wait(100) == 0
    check_exact(fleet, run_id, total)
    assert all(proxy.connections > 2 for proxy in proxies.values())


@pytest.mark.soak
def test_a_migration_through_every_fault(fleet: Fleet, proxies: dict[str, TcpProxy]) -> None:
    fill_source(fleet, TOTAL)
    start_worker(fleet, proxies)
    producer = fleet.start(*migrate_arguments(fleet, "--max-rate", RATE / 10, batch_size=100))
    run_id = fleet.newest_run()
    for name in SERVERS:
        for fault in FAULTS.values():
            fault(proxies[name])
    assert producer.wait(100) == 0
    check_copied(fleet, run_id)


def test_a_person_is_told_of_a_silent_redis_and_can_leave(
    fleet: Fleet, proxies: dict[str, TcpProxy]
) -> None:
    fleet.start_worker(1)
    redis = proxies["redis"].url(fleet.environment[SERVERS["redis"]])
    arguments = generate_arguments(fleet, TOTAL, "--max-rate", RATE, batch_size=500)
    producer = fleet.start(*arguments, **{SERVERS["redis"]: redis})
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.05)
    proxies["redis"].stalled = True
    lines = producer.stdout
    assert lines is not None
    silent_from = time.monotonic()
    assert any("does not answer" in line for line in lines)
    told_at = time.monotonic()
    assert told_at - silent_from < _SOON_SECONDS
    producer.send_signal(SIGINT)
    assert producer.wait(_SOON_SECONDS) == 130
    said = lines.read()
    assert f"dataworks pause {run_id}" in said
    assert "Redis does not answer" in said
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    check_exact(fleet, run_id, TOTAL)


def test_pages_and_metrics_say_that_redis_is_silent(
    fleet: Fleet, proxies: dict[str, TcpProxy]
) -> None:
    redis = {SERVERS["redis"]: proxies["redis"].url(fleet.environment[SERVERS["redis"]])}
    servers = [
        fleet.start("metrics", "--port", 0, "--json", **redis),
        fleet.start("web", "--listen", "127.0.0.1:0", "--json", **redis),
    ]
    metrics, web = (json.loads(_first_line(server))["url"] for server in servers)
    pages = web.rstrip("/") + "/api/runs"
    assert "dataworks_ledger_up 1.0" in _answer(metrics)[1]
    assert _answer(pages)[0] == 200
    proxies["redis"].stalled = True
    assert "dataworks_ledger_up 0.0" in _answer(metrics)[1]
    status, text = _answer(pages)
    assert (status, "Redis does not answer" in text) == (503, True)
    for server in servers:
        server.terminate()
    assert [server.wait(_SOON_SECONDS) for server in servers] == [0, 0]


def _first_line(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return server.stdout.readline()


def _answer(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=_SOON_SECONDS) as answer:  # noqa: S310 - of this machine
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_runs_that_take_turns_are_worked_on_far_from_their_database(
    fleet: Fleet, proxies: dict[str, TcpProxy]
) -> None:
    """A round trip takes longer than a short turn: each turn still has to bring a run on."""
    fill_source(fleet, 200)
    start_worker(fleet, proxies)
    proxies["redis"].stalled = True  # the worker takes nothing until both runs are there
    rate = ("--max-rate", 1000, "--detach")
    runs = [
        str(fleet.run_json(*arguments)["run"])
        for arguments in (
            generate_arguments(fleet, 200, *rate, batch_size=100),
            migrate_arguments(fleet, *rate, batch_size=100),
        )
    ]
    proxies["mongod"].latency_seconds = 0.26
    proxies["redis"].stalled = False
    for run_id in runs:
        fleet.wait_for_state(run_id, RunState.COMPLETE)
    check_exact(fleet, runs[0], 200)
    check_copied(fleet, runs[1])
