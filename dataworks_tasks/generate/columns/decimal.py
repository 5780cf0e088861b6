"""``decimal``: decimal128 with a fixed number of decimals."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.documents.bson_types import DECIMAL128
from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Fixed
from dataworks_tasks.generate.batch.values import Kind, Text, Values, text_of
from dataworks_tasks.generate.fields.distributions import Sample, read_distribution
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.numbers import EXACT_IN_DOUBLES, decimal128, whole_within
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.variety import Variety

_MOST_DIGITS = 10**18


class DecimalColumn(Column):
    """Whole numbers of the last decimal between ``low`` and ``high``, both inclusive.

    Expressions compute with doubles: a column with more digits than a double cannot be used in one.
    """

    def __init__(self, path: str, low: int, high: int, scale: int) -> None:
        self._low, self._high, self._scale = low, high, scale
        self._salt = counter_hash.salt(path)
        self.sample: Sample | None = None
        exact = max(abs(low), abs(high)) <= EXACT_IN_DOUBLES
        self.kind = Kind.NUMBER if exact else None

    def coefficients(self, rows: Rows) -> NDArray[np.int64]:
        """Return the number of every row, times 10**scale."""
        bits = counter_hash.draw(rows.keys, self._salt)
        if self.sample is None:
            return counter_hash.below(bits, self._high - self._low + 1) + self._low
        scaled = np.clip(self.sample(bits), -1e20, 1e20) * float(10**self._scale)
        return whole_within(scaled, self._low, self._high)

    def variety(self) -> Variety | None:
        return Variety.among(self._high - self._low + 1)

    def encode(self, rows: Rows) -> Encoded:
        return Encoded(DECIMAL128, [Fixed(decimal128(self.coefficients(rows), self._scale))])

    def values(self, rows: Rows) -> Values | None:
        if self.kind is None:
            return None
        return Values(Kind.NUMBER, self.coefficients(rows) / float(10**self._scale))

    def text(self, rows: Rows) -> Text:
        numbers = self.coefficients(rows).tolist()
        return text_of([str(Decimal(number).scaleb(-self._scale)) for number in numbers])


@column_type("decimal")
def read_decimal(node: TemplateNode) -> Column:
    """Type decimal: min 0, max 1000000, scale 2."""
    low = node.decimal("min", Decimal(0))
    high = node.decimal("max", max(low, Decimal(1_000_000)))
    scale = node.integer("scale", 2, "decimals", least=0, most=15)
    first = int(low.scaleb(scale).to_integral_value(ROUND_CEILING))
    last = int(high.scaleb(scale).to_integral_value(ROUND_FLOOR))
    bounds = {"min": first, "max": last}
    too_long = [name for name, bound in bounds.items() if abs(bound) > _MOST_DIGITS]
    for name in too_long:
        node.refuse(name, f"needs more than 18 digits with {scale} decimals")
    if last < first:
        node.refuse("max", f"is less than min, or no number of {scale} decimals is between them")
    if last < first or too_long:
        first = last = 0
    column = DecimalColumn(node.path, first, last, scale)
    column.sample = read_distribution(node, float(low), float(high))
    return column
