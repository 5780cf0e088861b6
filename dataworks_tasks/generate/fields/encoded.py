"""BSON values by column: a type byte and the segments of the value, without a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.documents.bson_types import NULL, STRING
from dataworks_tasks.generate.batch.segments import (
    Choice,
    Constant,
    Fixed,
    Gather,
    Layout,
    Segment,
    Size,
)
from dataworks_tasks.generate.batch.values import Text, Values, take

TypeCode = int | NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """BSON values without their names: the type byte, for all rows or by row, and the segments."""

    type_code: TypeCode
    segments: Sequence[Segment]


def encode_text(text: Text) -> Encoded:
    """Encode text as BSON strings."""
    if text.vocabulary is not None and text.numbers is not None:
        return Encoded(STRING, [Gather(text.vocabulary.bson, text.numbers)])
    return Encoded(STRING, [int32(text.size, 1), *text.segments, Constant(b"\0")])


def int32(size: Size, extra: int = 0) -> Segment:
    """Return the length prefix of content with ``size`` bytes, plus ``extra``."""
    if isinstance(size, int):
        return Constant((size + extra).to_bytes(4, "little"))
    return Fixed((size + extra).astype("<i4"))


def encode_present(values: Values, encode: Callable[[Values], Encoded]) -> Encoded:
    """Encode values as BSON, with null for rows without one."""
    if values.present is None:
        return encode(values)
    filled = np.flatnonzero(values.present)
    encoded = encode(take(values, filled))
    codes = np.full(len(values.present), NULL, np.uint8)
    codes[filled] = encoded.type_code
    layout = Layout(encoded.segments)
    return Encoded(codes, [Choice(len(codes), [(filled, layout)])])
