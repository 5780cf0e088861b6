"""``unique``: values that never repeat and look random: a permutation, no memory."""

from __future__ import annotations

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.permutation import permute
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Constant
from dataworks_tasks.generate.batch.values import Text
from dataworks_tasks.generate.columns.number import UniqueIntegerColumn
from dataworks_tasks.generate.columns.pattern import parse_or_refuse, read_unique_pattern
from dataworks_tasks.generate.columns.sequence import number_text, read_format
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.numbers import LONG_LIMIT, check_bson_type, read_bson_type
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.text_column import TextColumn


class UniqueFormatColumn(TextColumn):
    """A number of ``width`` digits in a text, each number at most once."""

    unique = True

    def __init__(self, path: str, before: str, width: int, after: str) -> None:
        self._before, self._after = before.encode(), after.encode()
        self._width = width
        self._salt = counter_hash.salt(path)

    def text(self, rows: Rows) -> Text:
        numbers = permute(rows.ordinals, self.capacity(), self._salt, rows.seed)
        digits = number_text(numbers, self._width)
        return Text([Constant(self._before), digits, Constant(self._after)], len(rows))

    def capacity(self) -> int:
        return int(10**self._width)


@column_type("unique")
def read_unique(node: TemplateNode) -> Column:
    """Type unique: min 0 and max (whole numbers); or pattern; or format with a number of digits."""
    low = node.integer("min", 0, least=-LONG_LIMIT, most=LONG_LIMIT)
    high = node.integer("max", LONG_LIMIT, least=-LONG_LIMIT, most=LONG_LIMIT)
    bson_type = read_bson_type(node, "long")
    if node.has("pattern"):
        return read_unique_pattern(node, parse_or_refuse(node))
    node.take("pattern")
    if node.has("format"):
        before, width, after = read_format(node)
        if not width:
            node.refuse("format", "needs a number of digits, like C-{:08d}")
        return UniqueFormatColumn(node.path, before, width or 1, after)
    node.take("format")
    if high < low:
        node.refuse("max", f"is {high}, less than min, which is {low}")
        high = low
    check_bson_type(node, bson_type, low, high)
    return UniqueIntegerColumn(node.path, (low, high, 1), bson_type)
