"""Numbers as BSON: int32, int64, double, decimal128, or text; never truncated or wrapped."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.documents.bson_types import DECIMAL128, DOUBLE, INT32, INT64
from dataworks_tasks.generate.batch.counter_hash import Floats
from dataworks_tasks.generate.batch.segments import Fixed
from dataworks_tasks.generate.batch.values import Kind, Values, decoded_text
from dataworks_tasks.generate.fields.encoded import Encoded, encode_text
from dataworks_tasks.generate.fields.exact import OutOfRange
from dataworks_tasks.generate.fields.template_node import TemplateNode

BSON_TYPES = ("int", "long", "double", "decimal", "string")
DECIMAL_SCALE = 2
INT_LIMIT = (1 << 31) - 1
LONG_LIMIT = (1 << 63) - 1
EXACT_IN_DOUBLES = 1 << 53
"""Whole numbers up to here are doubles without rounding."""
_EXPONENT_BIAS = 6176
_DECIMAL_DIGITS = 10**34


def read_bson_type(node: TemplateNode, default: str) -> str:
    """Read the BSON type that a number is written as."""
    return node.choice("bsonType", default, BSON_TYPES)


def check_bson_type(node: TemplateNode, bson_type: str, low: float, high: float) -> None:
    """Refuse a BSON type that cannot hold every number between ``low`` and ``high``."""
    limits = {"int": INT_LIMIT, "long": LONG_LIMIT, "decimal": _DECIMAL_DIGITS // 10**6}
    limit = limits.get(bson_type)
    if limit is not None and not (-limit - 1 <= low and high <= limit):
        node.refuse("bsonType", f"{bson_type} cannot hold all numbers from {low:,} to {high:,}")


def whole_within(values: Floats, low: int, high: int) -> NDArray[np.int64]:
    """Round to whole numbers and clip to ``low`` and ``high``.

    The result holds the bits of uint64 if ``high`` is above the range of int64. Processors differ
    in how they cast a double beyond 64 bits, so such a number is never cast: both bounds are exact
    on every platform.
    """
    dtype: type[Any] = np.int64 if high <= LONG_LIMIT else np.uint64
    rounded = np.rint(values)
    if low >= -EXACT_IN_DOUBLES and high <= EXACT_IN_DOUBLES:
        cut: Floats = np.clip(rounded, low, high)
        return cut.astype(np.int64)
    numbers = np.where(rounded >= float(high), dtype(high), dtype(low))
    inside = (rounded > float(low)) & (rounded < float(high))
    numbers[inside] = rounded[inside].astype(dtype)
    bits: NDArray[np.int64] = numbers.view(np.int64)
    return bits


def encode_numbers(
    data: NDArray[np.generic], bson_type: str, scale: int = DECIMAL_SCALE
) -> Encoded:
    """Encode ``data``, int64 or float64, as ``bson_type``; ``scale`` is for decimals.

    Raises OutOfRange for a number that the type cannot hold.
    """
    if bson_type == "int":
        return Encoded(INT32, [Fixed(_whole(data, INT_LIMIT).astype("<i4"))])
    if bson_type == "long":
        return Encoded(INT64, [Fixed(_whole(data, LONG_LIMIT).astype("<i8", copy=False))])
    if bson_type == "double":
        return Encoded(DOUBLE, [Fixed(data.astype("<f8", copy=False))])
    if bson_type == "decimal":
        return Encoded(DECIMAL128, [Fixed(_decimals(data, scale))])
    return encode_text(decoded_text(Values(Kind.NUMBER, data)))


def decimal128(coefficients: NDArray[np.int64], scale: int) -> NDArray[np.void]:
    """``coefficients`` / 10**scale in the binary integer decimal format, 16 bytes each."""
    words = np.empty((len(coefficients), 2), "<u8")
    words[:, 0] = np.abs(coefficients).view(np.uint64)
    words[:, 1] = np.uint64((_EXPONENT_BIAS - scale) << 49)
    words[:, 1] |= (coefficients < 0).astype(np.uint64) << np.uint64(63)
    return words.view("V16").ravel()


def _decimals(data: NDArray[np.generic], scale: int) -> NDArray[np.void]:
    most = int(np.abs(data).max(initial=0)) if data.dtype.kind == "f" else _largest(data)
    if data.dtype.kind == "f" and most * 10**scale < EXACT_IN_DOUBLES:
        return decimal128(np.rint(data.astype(np.float64) * 10.0**scale).astype(np.int64), scale)
    if data.dtype.kind != "f" and most * 10**scale <= LONG_LIMIT:
        return decimal128(data.astype(np.int64) * np.int64(10**scale), scale)
    return _long_decimals(data.tolist(), scale)


def _long_decimals(numbers: list[Any], scale: int) -> NDArray[np.void]:
    """Encode coefficients of up to 34 digits, one by one in Python."""
    words = np.empty((len(numbers), 2), "<u8")
    for row, number in enumerate(numbers):
        coefficient = round(Decimal(number).scaleb(scale))
        if abs(coefficient) >= _DECIMAL_DIGITS:
            raise OutOfRange(f"{number} has more than the 34 digits of a decimal")
        sign = (coefficient < 0) << 63
        words[row] = (
            abs(coefficient) & ((1 << 64) - 1),
            (_EXPONENT_BIAS - scale) << 49 | abs(coefficient) >> 64 | sign,
        )
    return words.view("V16").ravel()


def _largest(data: NDArray[np.generic]) -> int:
    if not len(data):
        return 0
    return max(abs(int(data.min())), abs(int(data.max())))


def _whole(data: NDArray[Any], limit: int) -> NDArray[np.int64]:
    rounded = np.rint(data) if data.dtype.kind == "f" else data
    if len(rounded) and (data.dtype.kind == "f" or limit < LONG_LIMIT):
        least, most = rounded.min(), rounded.max()
        if least < -limit - 1 or most >= limit + 1:
            name = "int" if limit == INT_LIMIT else "long"
            wrong = least if least < -limit - 1 else most
            raise OutOfRange(f"{wrong} does not fit the BSON type {name}")
    return rounded.astype(np.int64, copy=False)
