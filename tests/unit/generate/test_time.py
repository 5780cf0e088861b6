"""Time that looks real: profiles, bursts, walks and seasons, and parameters with units."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import mean, median, stdev
from typing import Any

import pytest

from dataworks_tasks.errors import TemplateError
from tests.unit.generate.examples import documents
from tests.unit.generate.test_statistics import assert_chi_squared

YEAR = {"type": "date", "startDate": "2024-01-01", "endDate": "2025-01-01"}
OFFICE = [0.0] * 8 + [1.0] * 4 + [0.5] + [1.0] * 5 + [0.0] * 6


def values(field: dict[str, Any], count: int = 20_000, seed: int = 3) -> list[Any]:
    return [document["x"] for document in documents({"x": field}, count, seed)]


def test_weekdays_and_hours_have_their_weights() -> None:
    weekdays = [10, 10, 10, 10, 8, 2, 0]
    dates = values({**YEAR, "profile": {"weekdays": weekdays, "hours": OFFICE}})
    assert all(datetime(2024, 1, 1) <= date < datetime(2025, 1, 1) for date in dates)
    hours = Counter(date.hour for date in dates)
    assert_chi_squared(hours, {hour: OFFICE[hour] / sum(OFFICE) for hour in range(24)})
    days = Counter(date.weekday() for date in dates)
    # 2024 has 53 Mondays and Tuesdays.
    number = [53, 53, 52, 52, 52, 52, 52]
    total = sum(weight * count for weight, count in zip(weekdays, number, strict=True))
    shares = {day: weekdays[day] * number[day] / total for day in range(7)}
    assert_chi_squared(days, shares)


def test_seasons_by_month_and_bounds_within_an_hour() -> None:
    months = [0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 3]
    dates = values({**YEAR, "profile": {"months": months}})
    counted = Counter(date.month for date in dates)
    weights = {6: 30, 7: 31, 8: 31, 12: 93}
    assert_chi_squared(counted, {month: days / 185 for month, days in weights.items()})
    narrow = {"type": "date", "startDate": "2024-05-01T10:20:00Z",
              "endDate": "2024-05-01T11:10:00Z", "profile": {"hours": [1] * 24}}  # fmt: skip
    inside = values(narrow, 3000)
    assert min(inside) >= datetime(2024, 5, 1, 10, 20)
    assert max(inside) < datetime(2024, 5, 1, 11, 10)
    assert_chi_squared(Counter(date.hour for date in inside), {10: 0.8, 11: 0.2})


def test_bursts_hold_their_share() -> None:
    field = {**YEAR, "bursts": {"count": 5, "share": 60, "width": "2h"}}
    hours = Counter(date.replace(minute=0, second=0, microsecond=0) for date in values(field))
    busiest = sum(count for _, count in hours.most_common(20))
    assert 0.57 < busiest / 20_000 < 0.64
    other = {hour for hour, _ in hours.most_common(5)}
    elsewhere = Counter(
        date.replace(minute=0, second=0, microsecond=0) for date in values(field, seed=4)
    )
    assert other != {hour for hour, _ in elsewhere.most_common(5)}


def test_a_walk_goes_step_by_step_and_does_not_depend_on_the_batch() -> None:
    walk = {"type": "double", "min": -1000, "max": 1000, "walk": {"start": 20, "step": 0.5}}
    series = values(walk, 5000)
    assert series[0] == 20
    steps = [two - one for one, two in pairwise(series)]
    assert stdev(steps) == pytest.approx(0.5, rel=0.05)
    assert abs(mean(steps)) < 0.03
    assert len({round(step, 6) for step in steps}) > 4900
    far = [series[index + 400] - series[index] for index in range(0, 4400, 10)]
    assert 5 < stdev(far) < 18
    assert values(walk, 70) == series[:70]
    assert values(walk, 70, seed=4) != series[:70]


def test_each_of_a_hundred_sensors_walks_by_itself() -> None:
    walk = {"start": 0, "step": 1, "together": 100}
    field = {"type": "double", "min": -1e6, "max": 1e6, "walk": walk}
    series = values(field, 5000)
    one, other = series[7::100], series[8::100]
    assert one[0] == other[0] == 0
    assert one != other
    assert stdev(two - first for first, two in pairwise(one)) == pytest.approx(1, rel=0.4)


def test_walks_turn_at_their_bounds_and_can_be_whole() -> None:
    narrow = {"type": "int", "min": 3, "max": 6, "walk": {"step": 2}}
    assert set(values(narrow, 500)) == {3, 4, 5, 6}
    rounded = {"type": "double", "min": 0, "max": 1, "decimals": 1, "walk": {"step": 0.3}}
    assert set(values(rounded, 500)) <= {round(tenth / 10, 1) for tenth in range(11)}


def test_a_season_comes_again() -> None:
    season = {"every": 40, "amplitude": 10}
    field = {"type": "double", "min": 0, "max": 100, "walk": {"step": 0, "season": season}}
    series = values(field, 400)
    assert series[:40] == series[40:80]
    assert (max(series), min(series)) == (60, 40)
    assert series[0] == series[20] == 50
    assert series[10] == 60
    assert series[30] == 40


def test_means_and_deviations_have_units() -> None:
    normal = {"type": "normal", "mean": "2024-07-01T00:00:00Z", "stdDev": "10d"}
    dates = values({**YEAR, "distribution": normal}, 5000)
    days = [(date - datetime(2024, 7, 1)) / timedelta(days=1) for date in dates]
    assert abs(mean(days)) < 0.5
    assert stdev(days) == pytest.approx(10, rel=0.05)
    delay = {"max": "30d", "distribution": {"type": "exponential", "mean": "6h"}}
    made = documents({"a": YEAR, "b": {"type": "date", "after": "a", "delay": delay}}, 5000)
    hours = [(entry["b"] - entry["a"]) / timedelta(hours=1) for entry in made]
    assert mean(hours) == pytest.approx(6, rel=0.06)


@pytest.mark.parametrize("middle", ["2024-02-10T00:00:00Z", "40d", 40 * 86_400_000])
@pytest.mark.parametrize("kind", ["exponential", "lognormal"])
def test_what_counts_from_the_first_date(kind: str, middle: str | int) -> None:
    """A multiple of the time since 1970 puts every date on one of the bounds."""
    key = "mean" if kind == "exponential" else "median"
    dates = values({**YEAR, "distribution": {"type": kind, key: middle}}, 5000)
    days = [(date - datetime(2024, 1, 1)) / timedelta(days=1) for date in dates]
    assert (mean if kind == "exponential" else median)(days) == pytest.approx(40, rel=0.06)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({**YEAR, "distribution": "poisson"}, "cannot be used for dates and delays"),
        ({**YEAR, "profile": {"hours": [1, 2]}}, "hours: needs 24 weights, not 2"),
        ({**YEAR, "profile": {"months": [0] * 12}}, "leaves no hour"),
        ({**YEAR, "profile": {"days": []}}, "unknown key"),
        (
            {**YEAR, "profile": {}, "distribution": "normal"},
            "cannot be combined with a distribution",
        ),
        ({"type": "date", "series": {}, "bursts": {}}, "applies only to startDate and endDate"),
        ({"type": "date", "startDate": "1500-01-01", "profile": {}}, "at most a hundred years"),
        ({**YEAR, "bursts": {"width": "soon"}}, "must be a duration"),
        ({**YEAR, "distribution": {"type": "normal", "mean": "soon"}}, "must be a date"),
        ({**YEAR, "distribution": {"type": "normal", "stdDev": "soon"}}, "must be a duration"),
        ({"type": "int", "distribution": {"type": "normal", "mean": "3d"}}, "must be a number"),
        ({"type": "double", "walk": {}}, "needs min and max"),
        ({"type": "int", "max": 9, "walk": {"start": 10}}, "between 0 and 9"),
        (
            {"type": "int", "max": 9, "walk": {}, "distribution": "normal"},
            "cannot be combined with",
        ),
        ({"type": "int", "max": 9, "walk": {}, "unique": True}, "each number is used once"),
        ({"type": "int", "max": 9, "walk": {"season": {}}}, "every: is missing"),
    ],
)
def test_what_makes_no_sense_is_refused(field: dict[str, Any], said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        values(field, 1)
    assert said in str(caught.value)
