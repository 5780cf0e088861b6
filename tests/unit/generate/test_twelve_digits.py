"""A table is rounded exactly as its values are one by one."""

from __future__ import annotations

from math import exp, nextafter

import numpy as np
import pytest

from dataworks_tasks.generate.fields.twelve_digits import round_digits, rounded_table

_LEADS = ("100000000000", "423456789012", "999999999999")
HALVES = [float(f"{lead}5e{power}") for lead in _LEADS for power in (-40, -24, -13, -12, 0, 30)]
POWERS_OF_TEN = [10.0**power for power in range(-40, 41)]
ODD = [0.0, 1e-300, 1e300, 123456789012.0, 99999999999.95, 0.1 + 0.2, 5e-324]


def neighbors(value: float) -> list[float]:
    """Return a value and the floats next to it, of both signs."""
    near = [nextafter(value, -np.inf), value, nextafter(value, np.inf)]
    return [*near, *(-one for one in near)]


@pytest.mark.parametrize("values", [HALVES, POWERS_OF_TEN, ODD])
def test_rounds_what_lies_near_a_border(values: list[float]) -> None:
    exact = [near for value in values for near in neighbors(value)]

    found = rounded_table(np.array(exact), exact.__getitem__)

    assert found.tobytes() == np.array([round_digits(value) for value in exact]).tobytes()


def test_a_function_of_another_library_changes_nothing() -> None:
    powers = np.linspace(-60, 60, 20_001)
    exact = [exp(power) for power in powers.tolist()]
    off = np.array([nextafter(nextafter(value, np.inf), np.inf) for value in exact])

    found = rounded_table(off, exact.__getitem__)

    assert found.tobytes() == np.array([round_digits(value) for value in exact]).tobytes()
