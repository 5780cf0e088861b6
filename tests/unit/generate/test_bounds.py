"""Every numeric type and distribution stays within its bounds; arithmetic is exact or an error."""

from __future__ import annotations

import struct
from decimal import Decimal
from fractions import Fraction
from typing import Any

import bson
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dataworks_tasks.errors import TemplateError
from dataworks_tasks.generate.fields.distributions import NAMES
from dataworks_tasks.generate.fields.exact import OutOfRange
from dataworks_tasks.generate.fields.numbers import whole_within
from tests.unit.generate.examples import documents

INT, LONG = (1 << 31) - 1, (1 << 63) - 1
INTS = st.one_of(st.integers(-INT - 1, INT), st.sampled_from([-INT - 1, -1, 0, 1, INT]))
LONGS = st.one_of(
    st.integers(-LONG - 1, LONG),
    st.sampled_from([-LONG - 1, -LONG, -(1 << 53) - 1, 0, 1, (1 << 53) + 1, LONG - 1, LONG]),
)
DOUBLES = st.one_of(
    st.floats(-1e300, 1e300),
    st.sampled_from([-1e300, -1e17, -1.0, 0.0, 5e-324, 0.1, 1.0, 2.0**53 + 2, 1e300]),
)
PARAMETERS = st.fixed_dictionaries(
    {"type": st.sampled_from(NAMES)},
    optional={
        "mean": st.floats(0, 500),
        "stdDev": st.sampled_from([0, 1, 1e18, 1e300]),
        "sigma": st.sampled_from([0, 0.5, 20]),
        "median": st.sampled_from([0, 1, 1e19, 1e300]),
        "exponent": st.floats(0, 20),
    },
)
KEYS = {
    "uniform": set(), "normal": {"mean", "stdDev"}, "lognormal": {"median", "sigma"},
    "exponential": {"mean"}, "poisson": {"mean"}, "zipf": {"exponent"},
}  # fmt: skip


def values(field: dict[str, Any], count: int = 100) -> list[Any]:
    return [document["x"] for document in documents({"x": field}, count)]


def plain(number: Any) -> Any:
    return number.to_decimal() if isinstance(number, bson.Decimal128) else number


def distribution(drawn: dict[str, Any]) -> dict[str, Any]:
    kept = {"type", *KEYS[drawn["type"]]}
    return {key: value for key, value in drawn.items() if key in kept}


@given(INTS, INTS, PARAMETERS, st.sampled_from(["int", "long", "double", "decimal"]))
@settings(max_examples=25, deadline=None)
def test_ints(one: int, other: int, drawn: dict[str, Any], bson_type: str) -> None:
    low, high = sorted((one, other))
    made = values({"type": "int", "min": low, "max": high, "bsonType": bson_type,
                   "distribution": distribution(drawn)})  # fmt: skip
    numbers = [
        entry.to_decimal() if isinstance(entry, bson.Decimal128) else entry for entry in made
    ]
    assert all(low <= number <= high for number in numbers)


@given(LONGS, LONGS, PARAMETERS, st.sampled_from([1, 3, INT, LONG]))
@settings(max_examples=30, deadline=None)
def test_longs(one: int, other: int, drawn: dict[str, Any], step: int) -> None:
    low, high = sorted((one, other))
    made = values({"type": "long", "min": low, "max": high, "step": step,
                   "distribution": distribution(drawn)})  # fmt: skip
    assert all(low <= number <= high and (number - low) % step == 0 for number in made)


@given(DOUBLES, DOUBLES, PARAMETERS, st.sampled_from([None, 0, 2, 12]))
@settings(max_examples=30, deadline=None)
def test_doubles(one: float, other: float, drawn: dict[str, Any], decimals: int | None) -> None:
    low, high = sorted((one, other))
    field = {"type": "double", "min": low, "max": high, "distribution": distribution(drawn)}
    if decimals is not None:
        field["decimals"] = decimals
        first = -(-Fraction(Decimal(str(low))) * 10**decimals // 1)
        assume(first <= Fraction(Decimal(str(high))) * 10**decimals)
    assert all(low <= number <= high for number in values(field))


@given(st.decimals(-(10**9), 10**9, places=6), st.decimals(-(10**9), 10**9, places=6), PARAMETERS)
@settings(max_examples=30, deadline=None)
def test_decimals(one: Decimal, other: Decimal, drawn: dict[str, Any]) -> None:
    low, high = sorted((one, other))
    field = {"type": "decimal", "min": str(low), "max": str(high), "scale": 6,
             "distribution": distribution(drawn)}  # fmt: skip
    assert all(low <= number.to_decimal() <= high for number in values(field))


@given(LONGS, PARAMETERS)
@settings(max_examples=25, deadline=None)
def test_lengths_and_dates(width: int, drawn: dict[str, Any]) -> None:
    most = abs(width) % 20
    array = {"type": "array", "maxLength": most, "distribution": distribution(drawn),
             "arrayContent": {"type": "constant", "constVal": 1}}  # fmt: skip
    assert all(len(entry) <= most for entry in values(array))
    if drawn["type"] == "poisson":
        return
    date = {"type": "date", "startDate": "2024-01-01", "endDate": "2024-01-02",
            "distribution": distribution(drawn)}  # fmt: skip
    assert {entry.date().isoformat() for entry in values(date)} == {"2024-01-01"}


@pytest.mark.parametrize(("low", "high"), [(0, LONG), (-LONG - 1, LONG), (0, (1 << 64) - 1)])
def test_whole_numbers_are_never_cast_out_of_range(low: int, high: int) -> None:
    data = np.array([-1e300, -1e19, float(low), 0.5, 7.0, float(high), 1.8e19, 1e300])
    made = whole_within(data, low, high)
    kept = made.view(np.uint64) if high > LONG else made
    assert kept.tolist()[0] == low
    assert kept.tolist()[-1] == high
    assert all(low <= number <= high for number in kept.tolist())


def test_a_quoted_decimal_keeps_its_cents() -> None:
    low = "9999999999999999.91"
    made = values({"type": "decimal", "min": low, "max": "9999999999999999.99"}, 100)
    assert {entry.to_decimal() for entry in made} == {
        Decimal(low) + Decimal(cents) / 100 for cents in range(9)
    }


def test_steps_and_decimals_reach_both_ends_alike() -> None:
    stars = values({"type": "double", "min": 1, "max": 5, "step": 1}, 20_000)
    assert set(stars) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert all(abs(stars.count(star) - 4000) < 300 for star in (1.0, 3.0, 5.0))
    assert set(values({"type": "double", "min": 0, "max": 1, "step": 0.6})) == {0.0, 0.6}
    tenths = values({"type": "double", "min": 0, "max": 1, "decimals": 1}, 22_000)
    assert set(tenths) == {round(tenth / 10, 1) for tenth in range(11)}
    assert all(abs(tenths.count(tenth) - 2000) < 250 for tenth in (0.0, 0.5, 1.0))
    assert set(values({"type": "double", "min": 0.3, "max": 2.7, "bsonType": "int"})) == {1, 2}


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ({"type": "long", "bsonType": "int"}, "bsonType"),
        ({"type": "double", "bsonType": "long"}, "bsonType"),
        ({"type": "unique", "max": 1 << 40, "bsonType": "int"}, "bsonType"),
        ({"type": "double", "min": 0.2, "max": 0.7, "decimals": 0}, "decimals"),
        ({"type": "double", "min": 0, "max": 1, "step": 0.25, "decimals": 1}, "decimals"),
        ({"type": "double", "step": 0.5}, "step"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(field: dict[str, Any], key: str) -> None:
    with pytest.raises(TemplateError, match=rf"\.x\.{key}"):
        documents({"x": field}, 1)


def computed(expression: str, numbers: list[int], **field: Any) -> Any:
    longs = [{"$numberLong": str(number)} for number in numbers]
    elements = {"type": "enum", "values": longs}
    content = {
        "a": {"type": "constant", "constVal": longs[0]},
        "b": {"type": "constant", "constVal": longs[1]},
        "list": {"type": "array", "size": 2, "arrayContent": elements},
        "x": {"type": "expr", "expr": expression, **field},
    }  # fmt: skip
    return documents(content, 1)[0]["x"]


@given(LONGS, LONGS, st.sampled_from(["a + b", "a - b", "a * b", "sum(list)", "-a", "abs(a)"]))
@settings(max_examples=40, deadline=None)
def test_sums_and_products_of_longs_are_exact_or_an_error(one: int, other: int, text: str) -> None:
    expected = {
        "a + b": one + other, "a - b": one - other, "a * b": one * other,
        "sum(list)": one + other, "-a": -one, "abs(a)": abs(one),
    }[text]  # fmt: skip
    if -LONG - 1 <= expected <= LONG:
        assert computed(text, [one, other]) == expected
    else:
        with pytest.raises(OutOfRange):
            computed(text, [one, other])


@given(LONGS, LONGS)
@settings(max_examples=20, deadline=None)
def test_remainders_and_extremes_of_longs_are_exact(one: int, other: int) -> None:
    numbers = [one, other]
    assert computed("max(list)", numbers) == computed("max(a, b)", numbers) == max(numbers)
    assert computed("min(list)", numbers) == computed("min(a, b)", numbers) == min(numbers)
    assert computed("a % b", numbers) == (one % other if other else None)
    assert computed("round(a)", numbers) == computed("floor(a)", numbers) == one
    assert computed("a", numbers, bsonType="decimal").to_decimal() == one


@pytest.mark.parametrize(
    ("expression", "bson_type"),
    [("a * 2", "int"), ("a * 1.5", "int"), ("a * 1e18", "long"), ("floor(a * 1e18)", "")],
)
def test_a_result_that_does_not_fit_is_an_error(expression: str, bson_type: str) -> None:
    field = {"bsonType": bson_type} if bson_type else {}
    with pytest.raises(OutOfRange):
        computed(expression, [INT, 0], **field)


def test_rows_without_a_value_cannot_overflow() -> None:
    made = documents({
        "a": {"type": "long", "min": LONG, "max": LONG, "missing": 50},
        "x": {"type": "expr", "expr": "a - 1 + 1"},
        "y": {"type": "expr", "expr": "if(a > 0, 1, a + 1)", "when": "a < 0"},
    }, 100)  # fmt: skip
    assert sum(entry["x"] == LONG for entry in made if "a" in entry) == 50
    assert all(entry["x"] is None for entry in made if "a" not in entry)


@pytest.mark.parametrize("text", ["9223372036854775808", "1e999", "round(1.5, a)", "round(1, 99)"])
def test_numbers_no_type_can_hold_are_refused(text: str) -> None:
    content = {"a": {"type": "int"}, "x": {"type": "expr", "expr": text}}
    with pytest.raises(TemplateError, match=r"\.x\.expr"):
        documents(content, 1)
    assert computed("-9223372036854775808", [0, 0]) == -LONG - 1


def test_a_decimal_with_more_digits_than_a_double_is_refused_in_an_expression() -> None:
    content = {
        "a": {"type": "decimal", "max": "9999999999999999.99"},
        "x": {"type": "expr", "expr": "a * 2"},
    }
    with pytest.raises(TemplateError, match="a has a type"):
        documents(content, 1)


def test_bytes_do_not_depend_on_how_a_processor_casts() -> None:
    """A lognormal long: its largest values are the bound itself, in every process."""
    made = values({"type": "long", "distribution": "lognormal"}, 5000)
    assert min(made) >= 0
    assert struct.pack("<q", max(made)) == struct.pack("<q", LONG)
