"""A column: one field's values for any rows, by position and never by state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import (
    Choice,
    Constant,
    Fixed,
    Gather,
    Pieces,
    Segment,
    Size,
)
from dataworks_tasks.generate.batch.values import Kind, Text, Values, take

DOUBLE, STRING, DOCUMENT, ARRAY, BINARY = 0x01, 0x02, 0x03, 0x04, 0x05
OBJECT_ID, BOOLEAN, DATE, NULL, REGEX = 0x07, 0x08, 0x09, 0x0A, 0x0B
CODE, INT32, TIMESTAMP, INT64, DECIMAL128 = 0x0D, 0x10, 0x11, 0x12, 0x13
MIN_KEY, MAX_KEY = 0xFF, 0x7F

if TYPE_CHECKING:
    from dataworks_tasks.generate.fields.field import Field
    from dataworks_tasks.generate.templates.linker import Linker

TypeCode = int | NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """BSON values without their names: the type byte, for all rows or by row, and the pieces."""

    type_code: TypeCode
    segments: Sequence[Segment]


class Column(ABC):
    """Makes the values of one field."""

    kind: Kind | None = None
    """What an expression can do with the values; None: nothing."""
    unique = False
    """Whether no two documents can have the same value: what an ``_id`` needs."""

    @abstractmethod
    def encode(self, rows: Rows) -> Encoded:
        """The BSON value of every row."""

    def values(self, rows: Rows) -> Values | None:
        """What an expression sees; None for a type no expression can use."""
        return None

    def text(self, rows: Rows) -> Text | None:
        """The value as text, for joining; None for a type that has no text."""
        return None

    def link(self, linker: Linker) -> None:  # noqa: B027 - most have nothing to look up
        """Look up the other fields this one is made from, once all of the template is read."""

    def depends(self) -> Iterator[Field]:
        """The fields its values are made from."""
        yield from ()

    def nested(self) -> Iterator[Field]:
        """The fields inside a sub-document, or the content of an array."""
        yield from ()

    def most_elements(self) -> int:
        """The longest array, for a column of arrays; 1 for any other."""
        return 1

    def capacity(self) -> int | None:
        """How many different values there are, where they must differ; None: as many as asked."""
        return None


def encode_text(text: Text) -> Encoded:
    """Text as BSON strings."""
    if text.vocabulary is not None and text.numbers is not None:
        return Encoded(STRING, [Gather(text.vocabulary.bson, text.numbers)])
    return Encoded(STRING, [int32(text.size, 1), *text.segments, Constant(b"\0")])


def int32(size: Size, extra: int = 0) -> Segment:
    """The length field in front of what has ``size`` bytes, plus ``extra``."""
    if isinstance(size, int):
        return Constant((size + extra).to_bytes(4, "little"))
    return Fixed((size + extra).astype("<i4"))


def encode_present(values: Values, encode: Callable[[Values], Encoded]) -> Encoded:
    """Values as BSON, with null where there is none."""
    if values.present is None:
        return encode(values)
    filled = np.flatnonzero(values.present)
    encoded = encode(take(values, filled))
    codes = np.full(len(values.present), NULL, np.uint8)
    codes[filled] = encoded.type_code
    pieces = Pieces(encoded.segments)
    return Encoded(codes, [Choice(len(codes), [(filled, pieces)])])
