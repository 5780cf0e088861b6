"""``int``, ``long``, ``double``: uniform or by a distribution, in steps, unique."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.permutation import permute
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.values import Kind, Text, Values, as_text
from dataworks_tasks.generate.fields.distributions import Sample, read_distribution
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.numbers import encode_numbers, read_bson_type
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode

INT_LIMIT = (1 << 31) - 1
LONG_LIMIT = (1 << 63) - 1
_DOUBLE_LIMIT = 1e300


class IntegerColumn(Column):
    """``low + step * n`` with ``0 <= n < count``."""

    kind = Kind.NUMBER

    def __init__(self, path: str, bounds: tuple[int, int, int], bson_type: str) -> None:
        self._low, high, self._step = bounds
        self._count = (high - self._low) // self._step + 1
        self._last = self._low + (self._count - 1) * self._step
        self._bson_type = bson_type
        self._salt = counter_hash.salt(path)
        self.sample: Sample | None = None

    def numbers(self, rows: Rows) -> NDArray[np.int64]:
        """The number of every row."""
        bits = counter_hash.draw(rows.keys, self._salt)
        if self.sample is not None:
            return self._sampled(self.sample(bits))
        return self._at(counter_hash.below(bits, self._count))

    def _at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        numbers = places.view(np.uint64)
        if self._step != 1:
            numbers = numbers * np.uint64(self._step)
        return (numbers + np.uint64(self._low % (1 << 64))).view(np.int64)

    def _sampled(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        places = np.rint((np.clip(values, self._low, self._last) - self._low) / self._step)
        return self._at(places.astype(np.int64))

    def encode(self, rows: Rows) -> Encoded:
        """See Column."""
        return encode_numbers(self._kept(rows), self._bson_type)

    def values(self, rows: Rows) -> Values:
        """See Column."""
        return Values(Kind.NUMBER, self._kept(rows))

    def text(self, rows: Rows) -> Text:
        """See Column."""
        return as_text(self.values(rows))

    def _kept(self, rows: Rows) -> NDArray[np.int64]:
        if self not in rows.memo:
            rows.memo[self] = self.numbers(rows)
        kept: NDArray[np.int64] = rows.memo[self]
        return kept


class UniqueIntegerColumn(IntegerColumn):
    """Every number at most once, in an order that looks random: a permutation of the ordinal."""

    unique = True

    def numbers(self, rows: Rows) -> NDArray[np.int64]:
        """See IntegerColumn."""
        return self._at(permute(rows.ordinals, self._count, self._salt, rows.seed))

    def capacity(self) -> int:
        """See Column."""
        return self._count


class DoubleColumn(Column):
    """Doubles in ``[low, high)``, or by a distribution and cut to it; rounded to ``decimals``."""

    kind = Kind.NUMBER

    def __init__(self, path: str, low: float, high: float, bson_type: str) -> None:
        self._low, self._high = low, high
        self._bson_type = bson_type
        self._salt = counter_hash.salt(path)
        self.sample: Sample | None = None
        self.decimals: int | None = None
        self.step = 0.0

    def numbers(self, rows: Rows) -> NDArray[np.float64]:
        """The number of every row."""
        bits = counter_hash.draw(rows.keys, self._salt)
        if self.sample is None:
            span = self._high - self._low
            numbers = counter_hash.unit(bits) * span
            numbers += self._low
        else:
            numbers = np.clip(self.sample(bits), self._low, self._high)
        if self.step:
            numbers = np.rint((numbers - self._low) / self.step) * self.step + self._low
        if self.decimals is not None:
            scale = float(10**self.decimals)
            numbers = np.rint(numbers * scale) / scale
        return numbers

    def encode(self, rows: Rows) -> Encoded:
        """See Column."""
        scale = 2 if self.decimals is None else self.decimals
        return encode_numbers(self.values(rows).data, self._bson_type, scale)

    def values(self, rows: Rows) -> Values:
        """See Column."""
        if self not in rows.memo:
            rows.memo[self] = Values(Kind.NUMBER, self.numbers(rows))
        kept: Values = rows.memo[self]
        return kept

    def text(self, rows: Rows) -> Text:
        """See Column."""
        return as_text(self.values(rows))


@column_type("int", "integer")
def read_int(node: TemplateNode) -> Column:
    """int: min 0, max 2147483647, both inclusive."""
    low = node.integer("min", 0, "minInt", least=-INT_LIMIT - 1, most=INT_LIMIT)
    high = node.integer("max", INT_LIMIT, "maxInt", least=-INT_LIMIT - 1, most=INT_LIMIT)
    return _read_integer(node, low, high, "int")


@column_type("long")
def read_long(node: TemplateNode) -> Column:
    """long: min 0, max 9223372036854775807, both inclusive."""
    low = node.integer("min", 0, "minLong", least=-LONG_LIMIT - 1, most=LONG_LIMIT)
    high = node.integer("max", LONG_LIMIT, "maxLong", least=-LONG_LIMIT - 1, most=LONG_LIMIT)
    return _read_integer(node, low, high, "long")


def _read_integer(node: TemplateNode, low: int, high: int, bson_type: str) -> Column:
    step = node.integer("step", 1, least=1, most=INT_LIMIT)
    if high < low:
        node.refuse("max", f"is {high}, less than min, which is {low}")
        high = low
    bson_type = read_bson_type(node, bson_type)
    sample = read_distribution(node, low, high)
    if node.flag("unique", False):
        if sample is not None:
            node.refuse("unique", "cannot go with a distribution: each number stands once")
        return UniqueIntegerColumn(node.path, (low, high, step), bson_type)
    column = IntegerColumn(node.path, (low, high, step), bson_type)
    column.sample = sample
    return column


@column_type("double", "float")
def read_double(node: TemplateNode) -> Column:
    """double: min 0, max 1e300 (the largest that survives arithmetic)."""
    low = node.number("min", 0.0, "minDouble", least=-_DOUBLE_LIMIT, most=_DOUBLE_LIMIT)
    high = node.number("max", _DOUBLE_LIMIT, "maxDouble", least=-_DOUBLE_LIMIT, most=_DOUBLE_LIMIT)
    if high < low:
        node.refuse("max", f"is {high}, less than min, which is {low}")
        high = low
    column = DoubleColumn(node.path, float(low), float(high), read_bson_type(node, "double"))
    column.sample = read_distribution(node, low, high)
    if node.has("decimals"):
        column.decimals = node.integer("decimals", 2, least=0, most=12)
    else:
        node.take("decimals")
    column.step = node.number("step", 0.0, least=0)
    return column
