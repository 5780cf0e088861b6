"""Numbers as BSON: int32, int64, double, decimal128, or text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.documents.bson_types import DECIMAL128, DOUBLE, INT32, INT64
from dataworks_tasks.generate.batch.segments import Fixed
from dataworks_tasks.generate.batch.values import Kind, Values, as_text
from dataworks_tasks.generate.fields.encoded import Encoded, encode_text
from dataworks_tasks.generate.fields.template_node import TemplateNode

BSON_TYPES = ("int", "long", "double", "decimal", "string")
_EXPONENT_BIAS = 6176
_DECIMAL_SCALE = 2


def read_bson_type(node: TemplateNode, default: str) -> str:
    """The BSON type a number is written as."""
    return node.choice("bsonType", default, BSON_TYPES)


def encode_numbers(
    data: NDArray[np.generic], bson_type: str, scale: int = _DECIMAL_SCALE
) -> Encoded:
    """``data``, int64 or float64, as values of ``bson_type``; ``scale`` is for decimals."""
    if bson_type == "int":
        return Encoded(INT32, [Fixed(np.clip(_whole(data), -(2**31), 2**31 - 1).astype("<i4"))])
    if bson_type == "long":
        return Encoded(INT64, [Fixed(_whole(data).astype("<i8", copy=False))])
    if bson_type == "double":
        return Encoded(DOUBLE, [Fixed(data.astype("<f8", copy=False))])
    if bson_type == "decimal":
        scaled = _whole(data.astype(np.float64) * float(10**scale))
        return Encoded(DECIMAL128, [Fixed(decimal128(scaled, scale))])
    return encode_text(as_text(Values(Kind.NUMBER, data)))


def decimal128(coefficients: NDArray[np.int64], scale: int) -> NDArray[np.void]:
    """``coefficients`` / 10**scale in the binary integer decimal format, 16 bytes each."""
    words = np.empty((len(coefficients), 2), "<u8")
    words[:, 0] = np.abs(coefficients).view(np.uint64)
    words[:, 1] = np.uint64((_EXPONENT_BIAS - scale) << 49)
    words[:, 1] |= (coefficients < 0).astype(np.uint64) << np.uint64(63)
    return words.view("V16").ravel()


def _whole(data: NDArray[np.generic]) -> NDArray[np.int64]:
    if data.dtype.kind != "f":
        return data.astype(np.int64, copy=False)
    limit = 2.0**63 - 1024
    return np.clip(np.rint(data.astype(np.float64, copy=False)), -limit, limit).astype(np.int64)
