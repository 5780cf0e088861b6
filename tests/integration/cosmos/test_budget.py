"""The budget that a fleet shares in a real Redis, without any database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from redis import Redis

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.tokens import BucketRequest, TokenRequest
from dataworks_tasks.rate_limits.writes import Budget, WriteRateLimiter
from dataworks_tasks.store.write_budget import Reservation
from dataworks_tasks.store.write_outcome import WriteOutcome

Server = Callable[[Reservation], WriteOutcome]


class FakeServer:
    """Takes ``capacity`` documents a second, a whole write or nothing; remembers when."""

    def __init__(self, capacity: float | None = None, ru_per_document: float | None = None) -> None:
        self.capacity = capacity
        self.ru_per_document = ru_per_document
        self.taken: list[tuple[float, int]] = []
        self.refused: list[float] = []
        self._lock = threading.Lock()
        self._level, self._at = 0.0, time.monotonic()

    def insert(self, documents: int) -> WriteOutcome:
        with self._lock:
            now = time.monotonic()
            if self.capacity is not None:
                filled = self._level + (now - self._at) * self.capacity
                # What half a second allows: threads of a busy machine wake up late, and together.
                self._level, self._at = min(self.capacity / 2, filled), now
                if self._level < 0:
                    self.refused.append(now)
                    return WriteOutcome.all_throttled(documents, "RetryAfterMs=5")
                self._level -= documents
            self.taken.append((now, documents))
        units = None if self.ru_per_document is None else documents * self.ru_per_document
        return WriteOutcome(documents, request_units=units)

    def rate(self, since: float, until: float) -> float:
        """Documents per second between two moments."""
        taken = sum(documents for moment, documents in self.taken if since <= moment < until)
        return taken / (until - since)


@pytest.fixture
def ledgers(redis_url: str) -> Iterator[Callable[[], RedisLedger]]:
    """Yield a ledger with a connection of its own, as each worker has."""
    with ExitStack() as stack:

        def open_ledger() -> RedisLedger:
            return RedisLedger(stack.enter_context(Redis.from_url(redis_url)))

        yield open_ledger


def work(
    limiters: list[WriteRateLimiter], server: FakeServer, seconds: float, size: int = 100
) -> float:
    """Write from one thread a rate limiter for so long; return when it began."""
    began = time.monotonic()
    until = began + seconds

    def write(rate_limiter: WriteRateLimiter) -> None:
        while time.monotonic() < until:
            documents = min(size, rate_limiter.max_documents(500.0) or size)
            reservation = rate_limiter.reserve(documents, documents * 500, until)
            if reservation is None:
                return
            outcome = server.insert(documents)
            rate_limiter.record(reservation, outcome)
            time.sleep(outcome.delay_seconds or 0.002)

    threads = [threading.Thread(target=write, args=(rate_limiter,)) for rate_limiter in limiters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return began


def fleet(
    ledgers: Callable[[], RedisLedger], run_id: str, budget: Budget, *, in_units: bool = False
) -> list[WriteRateLimiter]:
    return [
        WriteRateLimiter(ledgers(), run_id, budget, in_request_units=in_units) for _ in range(8)
    ]


def test_a_fleet_stays_within_its_rate(ledgers: Callable[[], RedisLedger], run_prefix: str) -> None:
    server = FakeServer()
    began = work(fleet(ledgers, run_prefix, Budget(documents=2000.0)), server, 3.0)
    assert 0.9 * 2000 <= server.rate(began, began + 2.8) <= 1.05 * 2000


def test_request_units_follow_what_is_measured_not_what_was_estimated(
    ledgers: Callable[[], RedisLedger], run_prefix: str
) -> None:
    server = FakeServer(ru_per_document=13.0)
    limiters = fleet(ledgers, run_prefix, Budget(request_units=13_000.0), in_units=True)
    began = work(limiters, server, 4.5)
    # The first second pays for what was estimated too low; the last waits for turns after the end.
    assert 0.9 * 1000 <= server.rate(began + 1.5, began + 4) <= 1.05 * 1000


def test_the_controller_finds_the_rate_of_a_throttling_server(
    ledgers: Callable[[], RedisLedger], run_prefix: str
) -> None:
    server = FakeServer(capacity=3000.0)
    limiters = fleet(ledgers, run_prefix, Budget())
    began = work(limiters, server, 7.0)
    late = [moment for moment in server.refused if moment > began + 4]
    writes = [moment for moment, _ in server.taken if moment > began + 4]
    assert server.rate(began + 4, began + 7) >= 0.9 * 3000
    assert len(late) < 0.15 * len(writes)


class NoLedger:
    """Fails the test when it is asked anything."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was asked of Redis")


def test_without_budget_and_throttling_redis_is_not_asked() -> None:
    ledger: Ledger = NoLedger()  # type: ignore[assignment]
    rate_limiter = WriteRateLimiter(ledger, "run", Budget(), in_request_units=True)
    reservation = rate_limiter.reserve(1000, 10**6)
    assert reservation is not None
    rate_limiter.record(reservation, WriteOutcome(1000, request_units=5000.0))
    assert rate_limiter.max_documents(1000.0) is None


def ask(wanted: float, longest: float, limit: float | None, joins: bool = False) -> TokenRequest:
    bucket = BucketRequest("documents", wanted, limit=limit, controlled=True)
    return TokenRequest([bucket], longest, joins=joins, accepted_rate=5000.0 if joins else 0.0)


def test_a_wait_that_is_too_long_takes_nothing(
    ledgers: Callable[[], RedisLedger], run_prefix: str
) -> None:
    ledger = ledgers()
    assert ledger.take_tokens(run_prefix, ask(200, 5, 100.0)).wait_seconds == 0
    assert not ledger.take_tokens(run_prefix, ask(1000, 1, 100.0)).granted
    grant = ledger.take_tokens(run_prefix, ask(100, 5, 100.0))
    assert grant.granted
    assert grant.wait_seconds == pytest.approx(2.0, abs=0.1)


def test_a_budget_holds_under_the_controllers_rate(
    ledgers: Callable[[], RedisLedger], run_prefix: str
) -> None:
    ledger = ledgers()
    start = ask(100, 5, 100.0, joins=True)
    assert ledger.take_tokens(run_prefix, start).controller_rate is None, "it only observes"
    assert ledger.take_tokens(run_prefix, ask(100, 5, 100.0)).wait_seconds > 0.8
