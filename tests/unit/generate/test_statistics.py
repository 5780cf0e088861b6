"""What is drawn has the distribution that the template says: chi-squared and KS tests, fixed seeds.

A test statistic beyond the 99.99 % quantile fails. The seeds are fixed, so a test passes always or
never; a change of the draws that is right can be unlucky once in some hundred tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import combinations, permutations
from math import erf, exp, factorial, log, sqrt
from statistics import NormalDist
from typing import Any

import bson
import pytest

from dataworks_tasks.generate.templates.load_template import document_source, parse_template
from tests.unit.generate.examples import documents


def values(field: dict[str, Any], count: int, seed: int = 11) -> list[Any]:
    return [document.get("x", "missing") for document in documents({"x": field}, count, seed)]


def assert_chi_squared(observed: Mapping[Any, int], expected: Mapping[Any, float]) -> None:
    """Check observed counts against ``expected`` shares.

    The limit is Wilson and Hilferty's, for one failure in 10,000.
    """
    assert set(observed) <= {key for key, share in expected.items() if share > 0}
    total = sum(observed.values())
    kept = {key: share * total for key, share in expected.items() if share > 0}
    statistic = sum((observed.get(key, 0) - want) ** 2 / want for key, want in kept.items())
    freedom = len(kept) - 1
    if not freedom:
        return
    z = NormalDist().inv_cdf(0.9999)
    limit = freedom * (1 - 2 / (9 * freedom) + z * sqrt(2 / (9 * freedom))) ** 3
    assert statistic < limit, (statistic, limit)


def assert_kolmogorov_smirnov(sample: list[float], share_below: Callable[[float], float]) -> None:
    """Check the largest distance of the two distribution functions, for one in 10,000."""
    ordered, count = sorted(sample), len(sample)
    distance = max(
        max((rank + 1) / count - share_below(value), share_below(value) - rank / count)
        for rank, value in enumerate(ordered)
    )
    assert distance < 2.23 / sqrt(count), distance


def even(keys: Any) -> dict[Any, float]:
    listed = list(keys)
    return dict.fromkeys(listed, 1 / len(listed))


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_distinct_elements_are_every_ordered_choice_alike(size: int) -> None:
    letters = "abcdef"
    element = {"type": "enum", "values": list(letters), "distinct": True}
    made = values({"type": "array", "size": size, "arrayContent": element}, 30_000)
    assert_chi_squared(Counter(map("".join, made)), even(map("".join, permutations(letters, size))))
    sets = Counter("".join(sorted(entry)) for entry in made)
    assert_chi_squared(sets, even(map("".join, combinations(letters, size))))


def test_distinct_elements_of_many_values() -> None:
    element = {"type": "enum", "values": list(range(100)), "distinct": True}
    made = values({"type": "array", "size": 3, "arrayContent": element}, 20_000)
    assert all(len(set(entry)) == 3 for entry in made)
    assert_chi_squared(Counter(number for entry in made for number in entry), even(range(100)))
    assert_chi_squared(Counter(entry[2] for entry in made), even(range(100)))


def test_distinct_elements_by_weight() -> None:
    """The second is drawn by the weights of those that are left."""
    weights = {"a": 6, "b": 3, "c": 1, "d": 0}
    made = values({"type": "array", "size": 2, "arrayContent": {
        "type": "enum", "values": list(weights), "weights": list(weights.values()),
        "distinct": True}}, 20_000)  # fmt: skip
    expected = {
        (one, two): weights[one] / 10 * weights[two] / (10 - weights[one])
        for one, two in permutations("abc", 2)
    }
    assert_chi_squared(Counter(map(tuple, made)), expected)


def test_values_of_a_group_go_together_by_the_weights_of_one() -> None:
    made = documents({
        "number": {"type": "enum", "values": [1, 2, 3], "group": "g"},
        "city": {"type": "enum", "values": ["A", "B", "C"], "group": "g", "weights": [80, 15, 5]},
    }, 20_000)  # fmt: skip
    pairs = Counter((entry["city"], entry["number"]) for entry in made)
    assert_chi_squared(pairs, {("A", 1): 0.8, ("B", 2): 0.15, ("C", 3): 0.05})


@pytest.mark.parametrize("field", [
    {"type": "int", "min": 3, "max": 12}, {"type": "long", "min": 3, "max": 12},
    {"type": "int", "min": 3, "max": 12, "distribution": "uniform"},
])  # fmt: skip
def test_whole_numbers_are_even(field: dict[str, Any]) -> None:
    assert_chi_squared(Counter(values(field, 20_000)), even(range(3, 13)))


def test_steps_decimals_and_decimal_are_even() -> None:
    stars = values({"type": "double", "min": 1, "max": 5, "step": 0.5}, 20_000)
    assert_chi_squared(Counter(stars), even(1 + 0.5 * step for step in range(9)))
    prices = values({"type": "double", "min": 0.05, "max": 0.14, "decimals": 2}, 20_000)
    assert_chi_squared(Counter(prices), even(round(0.05 + step / 100, 2) for step in range(10)))
    amounts = values({"type": "decimal", "min": -1, "max": 1, "scale": 1}, 21_000)
    tenths = Counter(round(float(str(amount)) * 10) for amount in amounts)
    assert_chi_squared(tenths, even(range(-10, 11)))


def test_doubles_dates_and_coordinates_are_uniform() -> None:
    doubles = values({"type": "double", "min": -2, "max": 6}, 5000)
    assert_kolmogorov_smirnov(doubles, lambda value: (value + 2) / 8)
    dates = values({"type": "date", "startDate": "2024-01-01", "endDate": "2024-01-11"}, 5000)
    days = [(date - min(dates)).total_seconds() / 864_000 for date in dates]
    assert_kolmogorov_smirnov(days, lambda value: value)
    places = values({"type": "coordinates", "bbox": [0, 0, 10, 5]}, 5000)
    assert_kolmogorov_smirnov([east for east, _ in places], lambda value: value / 10)
    assert_kolmogorov_smirnov([north for _, north in places], lambda value: value / 5)


def _normal(value: float) -> float:
    return (1 + erf((value - 10) / 2 / sqrt(2))) / 2


def _lognormal(value: float) -> float:
    return (1 + erf(log(value / 50) / 0.5 / sqrt(2))) / 2 if value > 0 else 0.0


@pytest.mark.parametrize(("drawn", "share_below"), [
    ({"type": "normal", "mean": 10, "stdDev": 2}, _normal),
    ({"type": "lognormal", "median": 50, "sigma": 0.5}, _lognormal),
    ({"type": "exponential", "mean": 3}, lambda value: 1 - exp(-value / 3)),
])  # fmt: skip
def test_distributions(drawn: dict[str, Any], share_below: Callable[[float], float]) -> None:
    low = 0 if drawn["type"] == "exponential" else -1e6
    sample = values({"type": "double", "min": low, "max": 1e6, "distribution": drawn}, 5000)
    assert_kolmogorov_smirnov(sample, share_below)


def test_poisson_and_zipf() -> None:
    made = Counter(values({"type": "int", "max": 40,
                           "distribution": {"type": "poisson", "mean": 3}}, 20_000))  # fmt: skip
    shares = {number: exp(-3) * 3**number / factorial(number) for number in range(12)}
    joined = Counter({number: made[number] for number in range(12)})
    joined[11] += sum(count for number, count in made.items() if number > 11)
    shares[11] += 1 - sum(shares.values())
    assert_chi_squared(joined, shares)
    zipf = {"type": "zipf", "exponent": 1.5}
    ranks = Counter(values({"type": "int", "min": 1, "max": 20, "distribution": zipf}, 20_000))
    total = sum(rank**-1.5 for rank in range(1, 21))
    assert_chi_squared(ranks, {rank: rank**-1.5 / total for rank in range(1, 21)})


def test_choices() -> None:
    weighted = values({"type": "enum", "values": ["a", "b", "c"], "weights": [70, 25, 5]}, 20_000)
    assert_chi_squared(Counter(weighted), {"a": 0.7, "b": 0.25, "c": 0.05})
    plain = values({"type": "enum", "values": list("abcdefg"), "randomOrder": True}, 20_000)
    assert_chi_squared(Counter(plain), even("abcdefg"))
    truth = values({"type": "boolean", "truePercentage": 30}, 20_000)
    assert_chi_squared(Counter(truth), {True: 0.3, False: 0.7})
    variants = [{"type": "constant", "constVal": number} for number in (1, 2)]
    made = values({"type": "oneOf", "variants": variants, "weights": [3, 1]}, 20_000)
    assert_chi_squared(Counter(made), {1: 0.75, 2: 0.25})


def test_lengths_and_letters() -> None:
    texts = values({"type": "string", "minLength": 2, "maxLength": 6}, 20_000)
    assert_chi_squared(Counter(map(len, texts)), even(range(2, 7)))
    letters = Counter("".join(texts))
    assert len(letters) == 64
    assert_chi_squared(letters, even(letters))
    content = {"type": "constant", "constVal": 1}
    array = {"type": "array", "minLength": 1, "maxLength": 4, "arrayContent": content}
    arrays = values(array, 20_000)
    assert_chi_squared(Counter(map(len, arrays)), even(range(1, 5)))
    blobs = values({"type": "binary", "minLength": 8, "maxLength": 8}, 3000)
    assert_chi_squared(Counter(b"".join(blobs)), even(range(256)))


def test_words_of_a_pool_and_parts_of_patterns_are_even() -> None:
    digits = Counter(values({"type": "pattern", "pattern": "[0-4]|[56]"}, 20_000))
    assert_chi_squared(digits, dict.fromkeys("01234", 0.1) | dict.fromkeys("56", 0.25))
    words = Counter(values({"type": "faker", "method": "random_digit", "pool": 0}, 10_000))
    assert_chi_squared(words, even(range(10)))


def test_references_are_even_or_skewed() -> None:

    def numbers(**reference: Any) -> Counter[int]:
        field = {"type": "reference", "to": "a", **reference}
        template = parse_template(
            [
                {"collection": "a", "count": 20, "content": {"_id": {"type": "autoincrement"}}},
                {"collection": "b", "count": 1, "content": {"x": field}},
            ],
            "t",
        )
        batch = document_source(template, 1, 5).generate(0, 20_000)
        return Counter(entry["x"] for entry in bson.decode_all(batch.data))

    assert_chi_squared(numbers(), even(range(20)))
    total = sum(rank**-1.1 for rank in range(1, 21))
    skewed = {rank: (rank + 1) ** -1.1 / total for rank in range(20)}
    assert_chi_squared(numbers(distribution="zipf"), skewed)
