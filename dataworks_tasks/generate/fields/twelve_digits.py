"""Round to twelve significant digits, as ``float(f"{value:.12g}")`` does; tables at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dataworks_tasks.generate.batch.counter_hash import Floats

_DIGITS = 12
_LARGEST_POWER = 22
"""10**22 is the largest power of ten that is a float: to divide by one rounds once."""
_POWERS = np.array([float(10**power) for power in range(_LARGEST_POWER + 1)])
_DOUBT = 0.01
"""Of a unit in the last digit. numpy's functions differ from the C library's by a few units in the
last place, 1e-15 of the value, which is a thousandth of this."""


def round_digits(value: float) -> float:
    """Return ``value`` with twelve significant digits."""
    return float(f"{value:.{_DIGITS}g}")


def rounded_table(values: Floats, exact: Callable[[int], float]) -> Floats:
    """Return ``round_digits(exact(index))`` for every index, given almost the same ``values``.

    What lies too near to the middle between two results for ``values`` to tell is computed by
    ``exact``, one by one; so are zero and what is very large or very small.
    """
    size = np.abs(values)
    with np.errstate(divide="ignore"):
        exponent = np.floor(np.log10(size))
    known = np.isfinite(exponent)
    power = _DIGITS - 1 - np.where(known, exponent, 0).astype(np.int64)
    known &= np.abs(power) <= _LARGEST_POWER
    shrink = _POWERS[np.where(known, np.maximum(-power, 0), 0)]
    grow = _POWERS[np.where(known, np.maximum(power, 0), 0)]
    digits = size / shrink * grow
    whole = np.rint(digits)
    known &= np.abs(np.abs(digits - whole) - 0.5) > _DOUBT
    # A logarithm that was rounded to the next power of ten counts one digit too many or too few.
    known &= (digits > 10.0 ** (_DIGITS - 1) + 1) & (digits < 10.0**_DIGITS - 1)
    found: Floats = np.copysign(np.where(known, whole * shrink / grow, 0), values)
    for index in np.flatnonzero(~known).tolist():
        found[index] = round_digits(exact(index))
    return found
