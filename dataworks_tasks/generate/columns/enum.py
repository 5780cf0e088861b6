"""``enum``: one of some values: in turn, at random, or by weight."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Arena, Positions
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Gather
from dataworks_tasks.generate.batch.values import Kind, Text, Values, Vocabulary
from dataworks_tasks.generate.columns.constant import bson_value, extended, kind_of
from dataworks_tasks.generate.fields.distributions import weighted
from dataworks_tasks.generate.fields.encoded import Encoded, TypeCode
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode


class Pool:
    """Values encoded beforehand: type bytes, value bytes, and what an expression sees."""

    def __init__(self, values: list[Any]) -> None:
        encoded = [bson_value(value) for value in values]
        self._codes = np.array([code for code, _ in encoded], np.uint8)
        self._same = int(self._codes[0]) if len(set(self._codes.tolist())) == 1 else None
        self._arena = Arena(data for _, data in encoded)
        kinds = {kind_of(value) for value in values}
        self.kind = kinds.pop() if len(kinds) == 1 else None
        self._data = np.array(values) if self.kind not in (None, Kind.TEXT) else np.empty(0)
        if self._data.dtype.kind == "O":
            self.kind = None
        plain = [value if isinstance(value, str) else str(value) for value in values]
        self._vocabulary = Vocabulary(plain)

    def __len__(self) -> int:
        return len(self._codes)

    def encode(self, numbers: Positions) -> Encoded:
        """The values with these numbers."""
        code: TypeCode = self._codes[numbers] if self._same is None else self._same
        return Encoded(code, [Gather(self._arena, numbers)])

    def values(self, numbers: Positions) -> Values | None:
        """The values as an expression sees them."""
        if self.kind is None:
            return None
        if self.kind is Kind.TEXT:
            return Values.of_text(self.text(numbers))
        return Values(self.kind, self._data[numbers])

    def text(self, numbers: Positions) -> Text:
        """The values as text."""
        return self._vocabulary.at(numbers)


class EnumColumn(Column):
    """Values of a pool, by cycle, uniform or weighted."""

    def __init__(self, path: str, pool: Pool, weights: list[float], random: bool) -> None:
        self._pool = pool
        self._random = random
        self._choose = weighted(weights) if weights else None
        self._salt = counter_hash.salt(path)
        self._draw = ("enum", path, len(pool), tuple(weights))
        self.kind = pool.kind
        self.distinct = False

    def _numbers(self, rows: Rows) -> Positions:
        if self._draw not in rows.memo:
            rows.memo[self._draw] = self._drawn(rows)
        kept: Positions = rows.memo[self._draw]
        return kept

    def _drawn(self, rows: Rows) -> Positions:
        if self.distinct and rows.array_indexes is not None:
            return self._without_repeats(rows, rows.array_indexes)
        if not self._random and self._choose is None:
            return (rows.ordinals % np.uint64(len(self._pool))).view(np.int64)
        bits = counter_hash.draw(rows.keys, self._salt)
        if self._choose is not None:
            return self._choose(bits)
        return counter_hash.below(bits, len(self._pool))

    def _without_repeats(self, rows: Rows, places: Positions) -> Positions:
        """Places of one array: a start and a step that goes through all values."""
        count = len(self._pool)
        steps = np.array([step for step in range(1, count + 1) if gcd(step, count) == 1])
        parent, parents = rows.parent_rows()
        bits = counter_hash.draw(parent.keys, self._salt)[parents]
        step = steps[counter_hash.below(counter_hash.mix(bits), len(steps))]
        numbers: Positions = (counter_hash.below(bits, count) + places * step) % count
        return numbers

    def encode(self, rows: Rows) -> Encoded:
        """See Column."""
        return self._pool.encode(self._numbers(rows))

    def values(self, rows: Rows) -> Values | None:
        """See Column."""
        return self._pool.values(self._numbers(rows))

    def text(self, rows: Rows) -> Text:
        """See Column."""
        return self._pool.text(self._numbers(rows))


@column_type("enum", "fromArray", "select", "choice")
def read_enum(node: TemplateNode) -> Column:
    """enum: values (fromArray: in), randomOrder (else in turn), weights, group, distinct."""
    raw = node.items("values", "in")
    values = [extended(node, "values", value) for value in raw]
    weights = node.numbers("weights", least=0)
    if weights and (len(weights) != len(values) or not sum(weights)):
        node.refuse("weights", f"needs {len(values)} weights, one for each value")
        weights = []
    random = node.flag("randomOrder", False)
    together = node.text("group", "")
    path = group_path(node, together) if together else node.path
    column = EnumColumn(path, Pool(values or [None]), weights, random or bool(together))
    column.distinct = node.flag("distinct", False)
    return column


def group_path(node: TemplateNode, group: str) -> str:
    """Where fields of one ``group`` draw from: one place in the list, the same for all of them."""
    return f"{node.reader.collection} group {group}"
