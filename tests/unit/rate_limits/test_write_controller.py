"""The controller of a run's rate, with real writers, against servers that refuse: virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dataworks_tasks.ledger.tokens import BucketRequest, TokenRequest
from tests.support.virtual_time import VirtualTime
from tests.unit.rate_limits.fleet_simulation import Fleet, LedgerInVirtualTime, Server

FREE = 64_000.0
"""What the usual fleet writes a second where nothing is refused."""


def server(**refusals: object) -> Server:
    return Server(VirtualTime(), **refusals)  # type: ignore[arg-type]


def always(value: float) -> Callable[[float], float]:
    return lambda _second: value


def between(start: float, stop: float, share: float = 1.0) -> Callable[[float], float]:
    return lambda second: share if start <= second < stop else 0.0


@pytest.mark.situation(
    6,
    "a share of documents is always refused: 1%, 5%, 20%",
    before="a sixth of the rate, a hundredth, no end",
    now="costs at most three times the share",
)
@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_a_share_that_is_always_refused_costs_at_most_three_times_as_much(share: float) -> None:
    refusing = Fleet(server(refused_share=always(share))).run(30)
    assert refusing.rate(0, 30) >= (1 - 3 * share) * FREE


def test_a_large_share_that_is_always_refused_stops_nobody() -> None:
    refusing = Fleet(server(refused_share=always(0.55))).run(20)
    assert refusing.rate(5, 20) > 0.5 * 0.45 * FREE


def test_a_share_of_whole_requests_costs_no_more() -> None:
    """Few requests a second are a rough measure: it must not lead downwards."""
    refusing = Fleet(server(refused_share=always(0.2), whole_requests=True)).run(60)
    assert refusing.rate(0, 60) >= 0.4 * FREE
    assert refusing.rate(40, 60) >= 0.3 * FREE


@pytest.mark.situation(
    6,
    "90 % or all is refused for 5, 15 or 30 s, and then nothing",
    before="one document a second for ever",
    now="90 % of the rate within 10 s",
)
@pytest.mark.parametrize("seconds", [5, 15, 30])
@pytest.mark.parametrize("share", [0.9, 1.0])
def test_the_rate_is_back_soon_after_nearly_everything_was_refused(
    seconds: float, share: float
) -> None:
    end = 5 + seconds
    refusing = Fleet(server(refused_share=between(5, end, share))).run(end + 10)
    assert refusing.rate(1, 5) > 0.9 * FREE
    assert refusing.rate(end + 5, end + 10) > 0.9 * FREE


def test_refusals_from_the_first_write_on_are_forgotten_as_soon() -> None:
    refusing = Fleet(server(refused_share=between(0, 20))).run(32)
    assert refusing.rate(27, 32) > 0.9 * FREE


def test_the_fleet_only_probes_while_everything_is_refused() -> None:
    refusing = Fleet(server(refused_share=between(5, 60))).run(60)
    sent = sum(count for moment, count in refusing.refused if moment > 10)
    assert 0 < sent < 0.03 * 50 * FREE


def test_refusals_that_come_and_go_cost_little_more_than_they_last() -> None:
    def coming_and_going(second: float) -> float:
        return float(second % 10 >= 5)

    refusing = Fleet(server(refused_share=coming_and_going)).run(60)
    for start in range(10, 60, 10):
        assert refusing.rate(start + 3, start + 5) > 0.9 * FREE


@pytest.mark.parametrize("processes", [1, 4, 16])
def test_a_capacity_is_used_and_hardly_exceeded(processes: int) -> None:
    limited = Fleet(server(capacity=always(3000)), processes).run(40)
    assert limited.rate(5, 40) > 0.95 * 3000
    assert limited.share(5, 40) < 0.1


def test_a_capacity_that_halves_and_returns_is_followed() -> None:
    def halved(second: float) -> float:
        return 1500 if 10 <= second < 30 else 3000

    limited = Fleet(server(capacity=halved)).run(60)
    assert limited.rate(13, 30) > 0.9 * 1500
    assert limited.share(15, 30) < 0.1
    assert limited.rate(45, 60) > 0.9 * 3000


def test_a_capacity_is_found_again_after_everything_was_refused() -> None:
    limited = Fleet(server(capacity=always(3000), refused_share=between(10, 25))).run(50)
    assert limited.rate(32, 50) > 0.9 * 3000


def test_a_capacity_is_used_where_a_share_is_always_refused_too() -> None:
    limited = Fleet(server(capacity=always(3000), refused_share=always(0.1))).run(40)
    assert limited.rate(5, 40) > 0.9 * 3000
    assert limited.share(20, 40) < 0.3


def test_who_joins_late_is_held_to_the_rate_too() -> None:
    limited = Fleet(
        server(capacity=always(3000)), processes=8, joins_at=lambda number: 15.0 * (number >= 4)
    ).run(45)
    assert limited.rate(20, 45) > 0.95 * 3000
    assert limited.share(20, 45) < 0.1


def test_time_in_which_nobody_writes_says_nothing_of_the_server() -> None:
    """A first small report after a break must not be taken for the rate of all of it."""
    time = VirtualTime()
    ledger = LedgerInVirtualTime(time)

    def rate(**more: float) -> float | None:
        bucket = BucketRequest("documents", 1.0, controlled=True)
        request = TokenRequest([bucket], 5.0, epoch=epoch, **more)  # type: ignore[arg-type]
        return ledger.take_tokens("run", request).controller_rate

    epoch = 0
    rate(joins=True, accepted_rate=1000.0)
    for _ in range(4):
        time.now += 1.1
        epoch = int(float(ledger.budget["epoch"]))
        rate(refused=500, accepted=500, writes=10, sent=1000)
    before = float(ledger.budget["rate"])
    time.now += 30
    epoch = int(float(ledger.budget["epoch"]))
    assert rate(refused=5, accepted=5, writes=10, sent=10) == pytest.approx(before, rel=0.01)
    time.now += 90
    assert rate() is None
    assert "epoch" not in ledger.budget, "a new search begins with the next refusal"
