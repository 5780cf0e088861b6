"""``int``, ``long``, ``double``: uniform or by a distribution, in steps, unique."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.counter_hash import Bits, Floats
from dataworks_tasks.generate.batch.permutation import permute
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.values import Kind, Text, Values, decoded_text
from dataworks_tasks.generate.fields.distributions import Sample, read_distribution
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.numbers import (
    DECIMAL_SCALE,
    EXACT_IN_DOUBLES,
    INT_LIMIT,
    LONG_LIMIT,
    check_bson_type,
    encode_numbers,
    read_bson_type,
    whole_within,
)
from dataworks_tasks.generate.fields.random_walk import Walk, folded, read_walk
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.variety import Variety

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
        self.walk: Walk | None = None

    def numbers(self, rows: Rows) -> NDArray[np.int64]:
        """Return the number of every row."""
        if self.walk is not None:
            return self._sampled(folded(self.walk.at(rows, self._salt), self._low, self._last))
        bits = counter_hash.draw(rows.keys, self._salt)
        if self.sample is not None:
            return self._sampled(self.sample(bits))
        return self._at(counter_hash.below(bits, self._count))

    def _at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        numbers = places.view(np.uint64)
        if self._step != 1:
            numbers = numbers * np.uint64(self._step)
        return (numbers + np.uint64(self._low % (1 << 64))).view(np.int64)

    def _sampled(self, values: Floats) -> NDArray[np.int64]:
        low, last = float(self._low), float(self._last)
        steps = (np.clip(values, low, last) - low) / self._step
        return self._at(whole_within(steps, 0, self._count - 1))

    def variety(self) -> Variety | None:
        return Variety.among(self._count)

    def encode(self, rows: Rows) -> Encoded:
        return encode_numbers(self._kept(rows), self._bson_type)

    def values(self, rows: Rows) -> Values:
        return Values(Kind.NUMBER, self._kept(rows))

    def text(self, rows: Rows) -> Text:
        return decoded_text(self.values(rows))

    def _kept(self, rows: Rows) -> NDArray[np.int64]:
        if self not in rows.memo:
            rows.memo[self] = self.numbers(rows)
        kept: NDArray[np.int64] = rows.memo[self]
        return kept


class UniqueIntegerColumn(IntegerColumn):
    """Every number at most once, in an order that looks random: a permutation of the ordinal."""

    unique = True

    def numbers(self, rows: Rows) -> NDArray[np.int64]:
        return self._at(permute(rows.ordinals, self._count, self._salt, rows.seed))

    def capacity(self) -> int:
        return self._count

    def variety(self) -> Variety:
        return Variety.never_repeats(self._count)


@dataclass(frozen=True, slots=True)
class Grid:
    """The doubles ``(first + step * n) / scale`` with ``0 <= n < count``: exact and equally likely.

    A quotient of two whole numbers that doubles hold is the double nearest to the decimal.
    """

    first: int
    step: int
    count: int
    scale: int

    def at(self, places: NDArray[np.int64]) -> Floats:
        """Return the doubles at these positions of the grid."""
        numbers = places if self.step == 1 else places * self.step
        if self.first:
            numbers = numbers + self.first
        quotients: Floats = numbers / float(self.scale)
        return quotients

    def drawn(self, bits: Bits) -> Floats:
        """Draw one of them for each row."""
        return self.at(counter_hash.below(bits, self.count))

    def nearest(self, values: Floats) -> Floats:
        """Round each value to the nearest double of the grid."""
        places = np.rint(values * float(self.scale)) if self.step == 1 else None
        if places is None:
            places = (values - self.first / self.scale) / (self.step / self.scale)
        else:
            places -= self.first
        return self.at(whole_within(places, 0, self.count - 1))


class DoubleColumn(Column):
    """Doubles from ``low`` to ``high``, uniform or by a distribution cut to these bounds."""

    kind = Kind.NUMBER

    def __init__(self, path: str, bounds: tuple[float, float], bson_type: str, scale: int) -> None:
        self._low, self._high = bounds
        self._bson_type, self._scale = bson_type, scale
        self._salt = counter_hash.salt(path)
        self.sample: Sample | None = None
        self.grid: Grid | None = None
        self.walk: Walk | None = None
        self.decimals: int | None = None
        """The step that numbers are rounded to without a grid."""

    def numbers(self, rows: Rows) -> Floats:
        """Return the number of every row."""
        if self.walk is not None:
            walked = folded(self.walk.at(rows, self._salt), self._low, self._high)
            return self._rounded(walked) if self.grid is None else self.grid.nearest(walked)
        bits = counter_hash.draw(rows.keys, self._salt)
        if self.sample is None and self.grid is not None:
            return self.grid.drawn(bits)
        if self.sample is None:
            numbers = counter_hash.unit(bits) * (self._high - self._low)
            numbers += self._low
            return self._rounded(np.minimum(numbers, self._high, out=numbers))
        numbers = np.clip(self.sample(bits), self._low, self._high)
        return self._rounded(numbers) if self.grid is None else self.grid.nearest(numbers)

    def _rounded(self, numbers: Floats) -> Floats:
        """Round numbers of a range too wide for a grid: the large ones have no decimals anyway."""
        if self.decimals is None:
            return numbers
        scale = float(10**self.decimals)
        small = np.abs(numbers) < EXACT_IN_DOUBLES / scale
        rounded = np.where(small, np.rint(np.where(small, numbers, 0.0) * scale) / scale, numbers)
        return np.clip(rounded, self._low, self._high)

    def variety(self) -> Variety | None:
        same = self._low == self._high
        return Variety.among(self.grid.count if self.grid else 1 if same else EXACT_IN_DOUBLES)

    def encode(self, rows: Rows) -> Encoded:
        return encode_numbers(self.values(rows).data, self._bson_type, self._scale)

    def values(self, rows: Rows) -> Values:
        if self not in rows.memo:
            rows.memo[self] = Values(Kind.NUMBER, self.numbers(rows))
        kept: Values = rows.memo[self]
        return kept

    def text(self, rows: Rows) -> Text:
        return decoded_text(self.values(rows))


@column_type("int", "integer")
def read_int(node: TemplateNode) -> Column:
    """Type int: min 0, max 2147483647, both inclusive."""
    low = node.integer("min", 0, "minInt", least=-INT_LIMIT - 1, most=INT_LIMIT)
    high = node.integer("max", INT_LIMIT, "maxInt", least=-INT_LIMIT - 1, most=INT_LIMIT)
    return _read_integer(node, low, high, "int")


@column_type("long")
def read_long(node: TemplateNode) -> Column:
    """Type long: min 0, max 9223372036854775807, both inclusive."""
    low = node.integer("min", 0, "minLong", least=-LONG_LIMIT - 1, most=LONG_LIMIT)
    high = node.integer("max", LONG_LIMIT, "maxLong", least=-LONG_LIMIT - 1, most=LONG_LIMIT)
    return _read_integer(node, low, high, "long")


def _read_integer(node: TemplateNode, low: int, high: int, bson_type: str) -> Column:
    step = node.integer("step", 1, least=1, most=LONG_LIMIT)
    if high < low:
        node.refuse("max", f"is {high}, less than min, which is {low}")
        high = low
    bson_type = read_bson_type(node, bson_type)
    check_bson_type(node, bson_type, low, high)
    sample = read_distribution(node, low, high)
    walk = _read_walk(node, low, high)
    if node.flag("unique", False):
        if sample is not None or walk is not None:
            node.refuse(
                "unique", "cannot be combined with a distribution: each number is used once"
            )
        return UniqueIntegerColumn(node.path, (low, high, step), bson_type)
    column = IntegerColumn(node.path, (low, high, step), bson_type)
    column.sample, column.walk = sample, walk
    return column


@column_type("double", "float")
def read_double(node: TemplateNode) -> Column:
    """Type double: min 0, max 1e300 (the largest that survives arithmetic), both inclusive."""
    low = node.number("min", 0.0, "minDouble", least=-_DOUBLE_LIMIT, most=_DOUBLE_LIMIT)
    high = node.number("max", _DOUBLE_LIMIT, "maxDouble", least=-_DOUBLE_LIMIT, most=_DOUBLE_LIMIT)
    if high < low:
        node.refuse("max", f"is {high}, less than min, which is {low}")
        high = low
    bson_type = read_bson_type(node, "double")
    decimals = _read_decimals(node, bson_type)
    step = node.number("step", 0.0, least=0)
    scale = DECIMAL_SCALE if decimals is None else decimals
    column = DoubleColumn(node.path, (float(low), float(high)), bson_type, scale)
    column.sample = read_distribution(node, low, high)
    column.walk = _read_walk(node, low, high)
    if bson_type in {"int", "long"}:
        check_bson_type(node, bson_type, low, high)
    if step or decimals is not None:
        column.grid = _grid(node, (low, high), step, decimals)
        column.decimals = decimals
    return column


def _read_walk(node: TemplateNode, low: float, high: float) -> Walk | None:
    walk = read_walk(node, low, high)
    if walk is not None and node.has("distribution"):
        node.refuse("walk", "cannot be combined with a distribution")
    if walk is not None and high - low > 1e100:
        node.refuse("walk", "needs min and max, at which it turns")
        return None
    return walk


def _read_decimals(node: TemplateNode, bson_type: str) -> int | None:
    if not node.has("decimals"):
        node.take("decimals")
        return {"int": 0, "long": 0, "decimal": DECIMAL_SCALE}.get(bson_type)
    decimals = node.integer("decimals", 2, least=0, most=12)
    if decimals and bson_type in {"int", "long"}:
        node.refuse("decimals", f"a BSON {bson_type} has none")
    return decimals


def _grid(
    node: TemplateNode, bounds: tuple[float, float], step: float, decimals: int | None
) -> Grid | None:
    """Return the grid of ``decimals`` or ``step`` between the bounds; an empty one is a finding."""
    low, high, pace = (Decimal(str(number)) for number in (*bounds, step))
    digits = max(decimals or 0, _digits(pace), _digits(low) if step else 0)
    if decimals is not None and step and digits > decimals:
        node.refuse("decimals", f"{decimals} are too few for min and step, which have {digits}")
    first = int((low.scaleb(digits)).to_integral_value(ROUND_CEILING))
    last = int((high.scaleb(digits)).to_integral_value(ROUND_FLOOR))
    width = int(pace.scaleb(digits)) if step else 1
    if last < first:
        node.refuse("decimals", f"there is no such number from {low} to {high}")
        return None
    if max(abs(first), abs(last), width) >= EXACT_IN_DOUBLES or digits > 22:
        if step:
            node.refuse("step", "the numbers need more digits than a double has; use decimal")
        return None
    return Grid(first, width, (last - first) // width + 1, 10**digits)


def _digits(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0
