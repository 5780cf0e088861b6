"""What a run with a rate spends of a process that other runs want: few writes, and all is used."""

from __future__ import annotations

from typing import cast

import pytest

from dataworks_tasks.generate.chunk_size import ChunkSize
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.rate_limits.writes import Budget, WriteRateLimiter
from tests.support.virtual_time import VirtualTime
from tests.unit.rate_limits.fleet_simulation import LedgerInVirtualTime

RATE = 1000


def limiter_of(time: VirtualTime, budget: Budget) -> WriteRateLimiter:
    ledger = cast("Ledger", LedgerInVirtualTime(time))
    limiter = WriteRateLimiter(ledger, "run", budget, in_request_units=False, sleep=lambda _: None)
    limiter.begin_turn(among_others=True)
    limiter.reserve(1, 100)  # the bucket is there from now on
    return limiter


def test_a_turn_among_others_spends_what_is_saved_up_in_one_write() -> None:
    time = VirtualTime()
    limiter = limiter_of(time, Budget(documents=RATE))
    time.now += 0.351
    limiter.begin_turn(among_others=True)
    assert limiter.affordable_documents() == pytest.approx(350, abs=1)
    assert limiter.max_documents(100) == pytest.approx(350, abs=1)
    assert not limiter.is_short
    assert limiter.reserve(350, 35_000) is not None
    assert limiter.is_short
    assert limiter.short_seconds == pytest.approx(0.15, abs=0.01)


def test_a_turn_that_comes_too_early_makes_nothing() -> None:
    time = VirtualTime()
    limiter = limiter_of(time, Budget(documents=RATE))
    limiter.reserve(30, 3000)
    limiter.begin_turn(among_others=True)
    limiter.affordable_documents()
    assert limiter.is_short
    assert limiter.short_seconds == pytest.approx(0.18, abs=0.01)


@pytest.mark.parametrize(
    ("budget", "among_others"),
    [
        (Budget(documents=RATE), False),
        (Budget(), True),
        (Budget(documents=RATE, request_units=5000), True),
    ],
)
def test_elsewhere_nothing_is_asked(budget: Budget, among_others: bool) -> None:
    limiter = limiter_of(VirtualTime(), budget)
    limiter.begin_turn(among_others=among_others)
    assert limiter.affordable_documents() is None
    assert not limiter.is_short


def test_a_chunk_is_what_a_budget_affords_and_fits() -> None:
    size = ChunkSize(most_documents=100, most_seconds=5.0, most_affordable=2000)
    assert size.of(10_000, 350) == 16, "nothing is known of them yet"
    size.learn(16, 16 * 1000, 0.001)
    assert [size.of(10_000, affordable) for affordable in (350, 5000, 1)] == [350, 2000, 1]
    assert (size.of(200, 350), size.of(10_000)) == (200, 100)
    size.learn(350, 350 * 40_000, 0.1)
    assert size.of(10_000, 350) == 100, "so many fit into memory"
