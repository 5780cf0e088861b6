"""Arithmetic on longs that is exact or an error; numpy alone would wrap around.

Every function takes int64 columns and ``present``, the rows that count (None: all): the content of
the other rows is meaningless and cannot be an error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch.arena import Positions
from dataworks_tasks.generate.batch.values import RowMask

Longs = NDArray[np.int64]
_LOW, _HIGH = -(1 << 63), (1 << 63) - 1
_HALF = np.int64(32)
_SAFE_FACTOR = 2.0**62


class OutOfRange(ArithmeticError):
    """A number of a document does not fit its type."""


def add(left: Longs, right: Longs, present: RowMask | None) -> Longs:
    """Return left + right."""
    result = left + right
    return _checked(result, ((left ^ result) & (right ^ result)) < 0, present, "+", left, right)


def subtract(left: Longs, right: Longs, present: RowMask | None) -> Longs:
    """Return left - right."""
    result = left - right
    return _checked(result, ((left ^ right) & (left ^ result)) < 0, present, "-", left, right)


def multiply(left: Longs, right: Longs, present: RowMask | None) -> Longs:
    """Return left * right."""
    result = left * right
    doubtful = np.abs(left.astype(np.float64) * right.astype(np.float64)) > _SAFE_FACTOR
    for row in np.flatnonzero(doubtful).tolist():
        doubtful[row] = not _LOW <= int(left[row]) * int(right[row]) <= _HIGH
    return _checked(result, doubtful, present, "*", left, right)


def remainder_of_longs(left: Longs, right: Longs) -> Longs:
    """Return left % right with the sign of ``right``; 0 where that is 0."""
    result: Longs = np.mod(left, np.where(right == 0, 1, right))
    return result


def negative(data: Longs, present: RowMask | None) -> Longs:
    """Return -data."""
    return _checked(-data, data == _LOW, present, "-", np.zeros_like(data), data)


def absolute(data: Longs, present: RowMask | None) -> Longs:
    """Return abs(data)."""
    return _checked(np.abs(data), data == _LOW, present, "-", np.zeros_like(data), data)


def whole(data: NDArray[np.float64], present: RowMask | None, name: str) -> Longs:
    """Return doubles that are whole numbers as longs."""
    outside = ~((data >= -(2.0**63)) & (data < 2.0**63))
    if present is not None:
        outside &= present
    if outside.any():
        raise OutOfRange(f"{name} of {data[outside][0]} does not fit a long")
    usable = (data >= -(2.0**63)) & (data < 2.0**63)
    return np.where(usable, data, 0.0).astype(np.int64)


def sums(data: Longs, groups: Positions, count: int) -> Longs:
    """Return the sum of each of ``count`` groups."""
    most = max(abs(int(data.min())), abs(int(data.max()))) if len(data) else 0
    if most * max(len(data), 1) < 1 << 53:
        # Doubles are exact here, and bincount is fast with them.
        return np.bincount(groups, weights=data, minlength=count).astype(np.int64)
    high = np.bincount(groups, weights=data >> _HALF, minlength=count).astype(np.int64)
    low = np.bincount(groups, weights=data & np.int64(0xFFFFFFFF), minlength=count)
    carried = low.astype(np.int64)
    high += carried >> _HALF
    if len(high) and (high.max() >= 1 << 31 or high.min() < -(1 << 31)):
        raise OutOfRange("the sum of an array does not fit a long")
    return (high << _HALF) | (carried & np.int64(0xFFFFFFFF))


def _checked(
    result: Longs, wrong: RowMask, present: RowMask | None, sign: str, left: Longs, right: Longs
) -> Longs:
    if present is not None:
        wrong = wrong & present
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise OutOfRange(f"{left[row]} {sign} {right[row]} does not fit a long")
    return result
