"""``sequence`` and ``autoincrement``: numbers that count up with the documents."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Constant, Fixed, Ragged, Segment
from dataworks_tasks.generate.batch.values import Kind, Text, Values, decoded_text
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.numbers import INT_LIMIT, LONG_LIMIT, encode_numbers
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.text_column import TextColumn

_FORMAT = re.compile(r"^(?P<before>[^{}]*)\{(?::0?(?P<width>\d{1,2})d?)?\}(?P<after>[^{}]*)$")
_PRINTF = re.compile(r"%0?(\d{0,2})d")


class CounterColumn(Column):
    """start + step * ordinal."""

    kind = Kind.NUMBER
    unique = True

    def __init__(self, start: int, step: int, bson_type: str) -> None:
        self._start, self._step = start, step
        self._bson_type = bson_type

    def numbers(self, rows: Rows) -> NDArray[np.int64]:
        """Return the number of every row."""
        return rows.ordinals.view(np.int64) * self._step + self._start

    def values(self, rows: Rows) -> Values:
        return Values(Kind.NUMBER, self.numbers(rows))

    def encode(self, rows: Rows) -> Encoded:
        return encode_numbers(self.numbers(rows), self._bson_type)

    def text(self, rows: Rows) -> Text:
        return decoded_text(self.values(rows))

    def capacity(self) -> int:
        limit = INT_LIMIT if self._bson_type == "int" else LONG_LIMIT
        room = limit - self._start if self._step > 0 else self._start + limit
        return room // abs(self._step) + 1


class SequenceColumn(TextColumn):
    """A counter in a text, with leading zeros up to ``width`` digits."""

    unique = True

    def __init__(self, counter: CounterColumn, before: str, width: int, after: str) -> None:
        self._counter = counter
        self._before, self._after = before.encode(), after.encode()
        self._width = width

    def text(self, rows: Rows) -> Text:
        digits = number_text(self._counter.numbers(rows), self._width)
        return Text([Constant(self._before), digits, Constant(self._after)], len(rows))

    def capacity(self) -> int:
        return self._counter.capacity()


def number_text(numbers: NDArray[np.int64], width: int) -> Segment:
    """Decimal digits with leading zeros up to ``width``; by column if all have that width."""
    if len(numbers) and width and numbers.min() >= 0 and int(numbers.max()) < 10**width:
        return digits_of(numbers, width)
    return Ragged.of([b"%0*d" % (width, number) for number in numbers.tolist()])


def digits_of(numbers: NDArray[np.int64], width: int) -> Fixed:
    """Format numbers of at most ``width`` digits as exactly that many digits."""
    digits = np.empty((len(numbers), width), np.uint8)
    rest = numbers.view(np.uint64)
    for place in range(width - 1, -1, -1):
        shorter = rest // np.uint64(10)
        digits[:, place] = (rest - shorter * np.uint64(10)).astype(np.uint8)
        rest = shorter
    digits += ord("0")
    return Fixed(digits.view(f"V{width}").ravel())


@column_type("autoincrement", "autoIncrement")
def read_autoincrement(node: TemplateNode) -> Column:
    """Type autoincrement: autoType int or long, start 0, step 1."""
    bson_type = node.choice("autoType", "int", ("int", "long"), "bsonType")
    limit = INT_LIMIT if bson_type == "int" else LONG_LIMIT
    start = node.integer("start", 0, "startInt", "startLong", least=-limit, most=limit)
    return CounterColumn(start, _read_step(node), bson_type)


@column_type("sequence")
def read_sequence(node: TemplateNode) -> Column:
    """Type sequence: format, start 0, step 1; without a format a long."""
    start = node.integer("start", 0, least=-LONG_LIMIT, most=LONG_LIMIT)
    counter = CounterColumn(start, _read_step(node), "long")
    if not node.has("format"):
        node.take("format")
        return counter
    before, width, after = read_format(node)
    return SequenceColumn(counter, before, width, after)


def read_format(node: TemplateNode) -> tuple[str, int, str]:
    """``format``: text around one ``{}``, ``{:08d}`` or ``%08d``."""
    text = _PRINTF.sub(lambda match: f"{{:0{match[1] or 0}d}}", node.text("format", "{}"), 1)
    match = _FORMAT.match(text)
    if match is None:
        node.refuse(
            "format", f"needs one placeholder for the number, like SO-{{:08d}}, not {text!r}"
        )
        return "", 0, ""
    width = int(match["width"] or 0)
    if width > 18:
        node.refuse("format", "has room for more than 18 digits")
        width = 18
    return match["before"], width, match["after"]


def _read_step(node: TemplateNode) -> int:
    step = node.integer("step", 1, least=-INT_LIMIT, most=INT_LIMIT)
    if step == 0:
        node.refuse("step", "cannot be 0")
        return 1
    return step
