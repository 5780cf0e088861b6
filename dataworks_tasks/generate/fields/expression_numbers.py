"""Functions of numbers. Longs stay exact; every result is the same on every platform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dataworks_tasks.generate.batch.values import Kind, Values, both
from dataworks_tasks.generate.fields import exact
from dataworks_tasks.generate.fields.expression_function import (
    NUMBER_KIND,
    Function,
    present_rows,
)


def numeric(
    function: Callable[..., Any],
    least: int,
    most: int = 0,
    exactly: Callable[..., Any] | None = None,
) -> Function:
    """Make a function of numbers from ``function``, which works on columns.

    ``exactly`` computes with longs; its last argument is the mask of rows that count.
    """

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        columns = [values.data for values in arguments]
        present = present_rows(arguments)
        if exactly is not None and all(column.dtype.kind in "iu" for column in columns):
            return Values(Kind.NUMBER, exactly(*columns, present), None, present)
        with np.errstate(all="ignore"):
            data = function(*columns)
        if data.dtype.kind == "f":
            finite = np.isfinite(data)
            if not finite.all():
                present = both(present, finite)
                data = np.where(finite, data, 0.0)
        return Values(Kind.NUMBER, data, None, present)

    return Function(apply, NUMBER_KIND, Kind.NUMBER, least, most or least)


MULTIPLY = numeric(np.multiply, 2, exactly=exact.multiply)
DIVIDE = numeric(np.true_divide, 2)


def power(arguments: Sequence[Values], _count: int) -> Values:
    """Compute a power by multiplication: C libraries' own results differ between processors."""
    base, exponent = arguments
    power = exponent.data[0] if len(exponent.data) else 1
    if power == 0.5:
        with np.errstate(invalid="ignore"):
            data = np.sqrt(base.data.astype(np.float64))
        there = base.data >= 0
        return Values(Kind.NUMBER, np.where(there, data, 0.0), None, both(base.present, there))
    result = Values(Kind.NUMBER, np.ones_like(base.data), None, base.present)
    for _ in range(abs(int(power))):
        result = MULTIPLY.apply([result, base], len(base.data))
    if power < 0:
        one = Values(Kind.NUMBER, np.ones(len(base.data)))
        return DIVIDE.apply([one, result], len(base.data))
    return result


def rounded(arguments: Sequence[Values], _count: int) -> Values:
    """Round half to even: multiply, round, divide, each exact by IEEE 754."""
    values = arguments[0]
    digits = int(arguments[1].data[0]) if len(arguments) > 1 and len(arguments[1].data) else 0
    if values.data.dtype.kind in "iu" and digits >= 0:
        return values
    scale = float(10**digits) if digits >= 0 else 1 / float(10**-digits)
    with np.errstate(over="ignore"):
        scaled = values.data * scale
    data = np.rint(scaled) / scale
    finite = np.isfinite(scaled)
    if not finite.all():
        # A number so large has no decimals to round.
        data = np.where(finite, data, values.data)
    return Values(Kind.NUMBER, data, None, values.present)


def integral(name: str, function: Callable[[Any], Any]) -> Function:
    """Make a function of numbers whose result is a long."""

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        (values,) = arguments
        if values.data.dtype.kind in "iu":
            return values
        data = exact.whole(function(values.data), values.present, name)
        return Values(Kind.NUMBER, data, None, values.present)

    return Function(apply, NUMBER_KIND, Kind.NUMBER, 1, 1)


def remainder(arguments: Sequence[Values], _count: int) -> Values:
    """Compute the remainder; the rows in which the divisor is 0 are null."""
    left, right = arguments
    present = both(present_rows(arguments), right.data != 0)
    if left.data.dtype.kind in "iu" and right.data.dtype.kind in "iu":
        return Values(Kind.NUMBER, exact.remainder_of_longs(left.data, right.data), None, present)
    with np.errstate(all="ignore"):
        data = np.mod(left.data.astype(np.float64), right.data)
    finite = np.isfinite(data)
    return Values(Kind.NUMBER, np.where(finite, data, 0.0), None, both(present, finite))


def extreme(reduce: Callable[..., Any]) -> Function:
    """Make a function that reduces 2 to 20 numbers to one, such as their minimum."""
    return numeric(lambda *data: reduce(np.broadcast_arrays(*data)), 2, 20)
