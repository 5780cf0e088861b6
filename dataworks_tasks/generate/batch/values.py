"""Values of a column as an expression sees them, before they are BSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch.arena import Arena, Positions
from dataworks_tasks.generate.batch.segments import (
    Constant,
    Gather,
    Layout,
    Ragged,
    Segment,
    Size,
    lay_out,
    total_size,
)

RowMask = NDArray[np.bool_]


class Kind(StrEnum):
    """What an expression can do with a value."""

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    DURATION = "duration"


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Text a row as UTF-8 segments, so that joined text is written without Python strings."""

    segments: Sequence[Segment]
    count: int
    vocabulary: Vocabulary | None = None
    """Set if each text is one word of a pool: then a function maps the pool once."""
    numbers: Positions | None = None
    constant: str | None = None
    """Set if it is the same in every row."""

    @property
    def size(self) -> Size:
        """Bytes by row."""
        return total_size(self.segments)

    def strings(self) -> list[str]:
        """Return the text as Python strings."""
        if self.vocabulary is not None and self.numbers is not None:
            words = self.vocabulary.words
            return [words[number] for number in self.numbers.tolist()]
        data, offsets = lay_out(Layout(self.segments), self.count)
        return [data[start:stop].decode() for start, stop in pairwise(offsets.tolist())]


@dataclass(slots=True, eq=False)
class Vocabulary:
    """Words known beforehand; everything derived from them is cached."""

    words: list[str]
    _derived: dict[str, Vocabulary] = field(default_factory=dict)
    _text: Arena | None = None
    _bson: Arena | None = None

    @property
    def text(self) -> Arena:
        """The words as UTF-8."""
        if self._text is None:
            self._text = Arena(word.encode() for word in self.words)
        return self._text

    @property
    def bson(self) -> Arena:
        """The words as BSON strings: length, UTF-8, a zero byte."""
        if self._bson is None:
            self._bson = Arena(bson_string(word) for word in self.words)
        return self._bson

    def derived(self, name: str, function: Callable[[str], str]) -> Vocabulary:
        """Apply ``function`` to every word, once for each ``name``."""
        if name not in self._derived:
            self._derived[name] = Vocabulary([function(word) for word in self.words])
        return self._derived[name]

    def at(self, numbers: Positions) -> Text:
        """Return the words with these numbers."""
        return Text([Gather(self.text, numbers)], len(numbers), self, numbers)


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """One value per row. ``present`` is None where every row has one.

    NUMBER data is float64 or int64, BOOLEAN bool, DATE int64 milliseconds since 1970, DURATION
    int64 milliseconds; TEXT is in
    ``text``. Data of a row that is not present means nothing.
    """

    kind: Kind
    data: NDArray[Any]
    text: Text | None = None
    present: RowMask | None = None

    @classmethod
    def of_text(cls, text: Text, present: RowMask | None = None) -> Values:
        """Text values."""
        return cls(Kind.TEXT, np.empty(0), text, present)


def bson_string(word: str) -> bytes:
    """``word`` as the value of a BSON string element."""
    data = word.encode()
    return (len(data) + 1).to_bytes(4, "little") + data + b"\0"


def constant_text(word: str, count: int) -> Text:
    """Return the same text for every row."""
    return Text([Constant(word.encode())], count, constant=word)


def take(values: Values, numbers: Positions) -> Values:
    """Return the values of the rows with these numbers; a row may occur more than once."""
    present = None if values.present is None else values.present[numbers]
    if values.text is None:
        return Values(values.kind, values.data[numbers], None, present)
    text = values.text
    if text.vocabulary is not None and text.numbers is not None:
        return Values.of_text(text.vocabulary.at(text.numbers[numbers]), present)
    words = text.strings()
    return Values.of_text(text_of([words[number] for number in numbers.tolist()]), present)


def text_of(words: Sequence[str]) -> Text:
    """Text from Python strings, one a row."""
    return Text([Ragged.of([word.encode() for word in words])], len(words))


def both(left: RowMask | None, right: RowMask | None) -> RowMask | None:
    """Return where both are present."""
    if left is None or right is None:
        return right if left is None else left
    return left & right


def decoded_text(values: Values) -> Text:
    """Any value as text: numbers as Python writes them, dates as RFC 3339 in UTC."""
    if values.text is not None:
        return values.text
    if values.kind is Kind.BOOLEAN:
        return _BOOLEANS.at(values.data.astype(np.int64))
    if values.kind is Kind.DATE:
        stamps = np.datetime_as_string(values.data.astype("datetime64[ms]"), unit="ms")
        return text_of([f"{stamp}Z" for stamp in stamps.tolist()])
    return _number_text(values.data)


def _number_text(data: NDArray[Any]) -> Text:
    if data.dtype.kind in "iu" and len(data) and data.min() >= 0 and data.max() < _SMALL:
        return _small_numbers().at(data.astype(np.int64, copy=False))
    return text_of([repr(number) for number in data.tolist()])


@cache
def _small_numbers() -> Vocabulary:
    return Vocabulary([str(number) for number in range(_SMALL)])


_SMALL = 10_000
_BOOLEANS = Vocabulary(["false", "true"])
