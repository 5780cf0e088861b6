"""Numbers with decimals on the command line."""

from __future__ import annotations

import click
import pytest

from producer.cli.shared.number import Number

ABOVE, RANGE, LEAST = Number(0, above=True), Number(0.5, 3600), Number(1)


@pytest.mark.parametrize(
    ("kind", "typed", "number"),
    [(ABOVE, "0.001", 0.001), (ABOVE, "1e3", 1000), (RANGE, "0.5", 0.5), (RANGE, "3600", 3600),
     (LEAST, "1", 1), (LEAST, 90.0, 90)],
)  # fmt: skip
def test_numbers_within_bounds(kind: Number, typed: object, number: float) -> None:
    assert kind.convert(typed, None, None) == number


@pytest.mark.parametrize(
    ("kind", "typed", "reason"),
    [
        (ABOVE, "0", "must be more than 0, not '0'"),
        (ABOVE, "-1", "must be more than 0, not '-1'"),
        (ABOVE, "nan", "'nan' is not a number such as 2 or 0.5"),
        (ABOVE, "inf", "'inf' is not a number such as 2 or 0.5"),
        (ABOVE, "half", "'half' is not a number such as 2 or 0.5"),
        (RANGE, "0.4", "must be between 0.5 and 3,600, not '0.4'"),
        (RANGE, "3601", "must be between 0.5 and 3,600, not '3601'"),
        (LEAST, "0.9", "must be 1 or more, not '0.9'"),
    ],
)
def test_others_are_refused_in_words(kind: Number, typed: str, reason: str) -> None:
    with pytest.raises(click.BadParameter) as error:
        kind.convert(typed, None, None)
    assert error.value.message == reason
