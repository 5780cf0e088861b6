"""The budget: one second's allowance, debts of reads, and what is counted."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from producer.cosmos_simulator.budget import RequestUnitBudget


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_bucket_holds_one_second() -> None:
    clock = Clock()
    budget = RequestUnitBudget(1000, clock)
    assert budget.available() == 1000
    budget.charge(1000)
    assert not budget.affordable(1)
    assert budget.retry_after_ms(100) == 100
    clock.now += 0.1
    assert budget.affordable(100)
    assert not budget.affordable(101)
    clock.now += 60
    assert budget.available() == 1000


def test_a_read_may_run_into_debt_and_everybody_waits() -> None:
    clock = Clock()
    budget = RequestUnitBudget(1000, clock)
    budget.charge(2500)
    assert budget.available() == -1500
    assert budget.retry_after_ms(1) == 1000
    clock.now += 1.4
    assert not budget.affordable(1)
    clock.now += 0.2
    assert budget.affordable(1)


def test_what_costs_more_than_a_second_runs_on_a_full_bucket() -> None:
    clock = Clock()
    budget = RequestUnitBudget(100, clock)
    assert budget.affordable(1250)
    budget.charge(1)
    assert not budget.affordable(1250)


def test_without_a_limit_everything_is_affordable_and_counted() -> None:
    budget = RequestUnitBudget(None)
    assert budget.available() == math.inf
    budget.charge(1e9)
    assert budget.affordable(1e9)
    assert budget.statistics().total_ru == 1e9


def test_the_history_is_by_second() -> None:
    clock = Clock()
    budget = RequestUnitBudget(1000, clock)
    for seconds, ru in ((0, 10), (0.5, 20), (0.6, 5), (3, 7)):
        clock.now += seconds
        budget.charge(ru)
    assert budget.statistics().ru_per_second == ((0, 30), (1, 5), (4, 7))
    assert budget.statistics().total_ru == 42


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2), st.floats(1, 500)), max_size=60))
def test_never_more_than_the_rate_and_one_second_is_charged(
    steps: list[tuple[float, float]],
) -> None:
    clock = Clock()
    budget = RequestUnitBudget(300, clock)
    for seconds, ru in steps:
        clock.now += seconds
        if ru <= budget.available():
            budget.charge(ru)
    elapsed = clock.now - 100
    assert budget.statistics().total_ru <= 300 * (elapsed + 1) + 1e-6
