"""``enum``: one of some values: in turn, at random, or by weight."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Arena, Positions
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Gather
from dataworks_tasks.generate.batch.values import Kind, Text, Values, Vocabulary
from dataworks_tasks.generate.batch.without_repeats import WithoutRepeats
from dataworks_tasks.generate.columns.constant import bson_value, extended, kind_of
from dataworks_tasks.generate.fields.distributions import weighted
from dataworks_tasks.generate.fields.encoded import Encoded, TypeCode
from dataworks_tasks.generate.fields.groups import Group, ValueSet, group_of
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode, shown
from dataworks_tasks.generate.fields.variety import Variety
from dataworks_tasks.numerals import counted


class Pool:
    """Values encoded beforehand: type bytes, value bytes, and what an expression sees."""

    def __init__(self, values: list[Any]) -> None:
        encoded = [bson_value(value) for value in values]
        self._codes = np.array([code for code, _ in encoded], np.uint8)
        self._same = int(self._codes[0]) if len(set(self._codes.tolist())) == 1 else None
        self._arena = Arena(data for _, data in encoded)
        only_texts = set(map(type, values)) == {str}
        kinds = {Kind.TEXT} if only_texts else {kind_of(value) for value in values}
        self.kind = kinds.pop() if len(kinds) == 1 else None
        self._data = np.array(values) if self.kind not in (None, Kind.TEXT) else np.empty(0)
        if self._data.dtype.kind == "O":
            self.kind = None
        self._vocabulary = Vocabulary(values if only_texts else list(map(str, values)))

    def __len__(self) -> int:
        return len(self._codes)

    @cached_property
    def variety(self) -> int:
        """How many of the values differ."""
        return len(set(zip(self._codes.tolist(), self._arena.strings(), strict=True)))

    @cached_property
    def can_be_names(self) -> bool:
        """Whether every value, as text, can be the name of a field."""
        return all(word and "\0" not in word for word in self._vocabulary.words)

    def encode(self, numbers: Positions) -> Encoded:
        """Encode the values with these numbers."""
        code: TypeCode = self._codes[numbers] if self._same is None else self._same
        return Encoded(code, [Gather(self._arena, numbers)])

    def values(self, numbers: Positions) -> Values | None:
        """Return the values with these numbers, as expressions see them."""
        if self.kind is None:
            return None
        if self.kind is Kind.TEXT:
            return Values.of_text(self.text(numbers))
        return Values(self.kind, self._data[numbers])

    def text(self, numbers: Positions) -> Text:
        """Return the values with these numbers as text."""
        return self._vocabulary.at(numbers)


class EnumColumn(Column):
    """Values of a pool, in turn, uniform or weighted."""

    def __init__(self, group: Group, pool: Pool, random: bool, longest: int) -> None:
        self._pool = pool
        self._group = group
        self._random = random
        self._longest = longest
        self._salt = counter_hash.salt(group.salted)
        self.kind = pool.kind

    @cached_property
    def _weights(self) -> tuple[float, ...]:
        return tuple(self._group.settings.get("weights", ()))

    @cached_property
    def _choose(self) -> Callable[[counter_hash.Bits], Positions] | None:
        return weighted(list(self._weights)) if self._weights else None

    @cached_property
    def _without_repeats(self) -> WithoutRepeats | None:
        if not self._group.settings.get("distinct"):
            return None
        return WithoutRepeats(self._salt, len(self._pool), self._longest, self._weights)

    @property
    def distinct(self) -> bool:
        """Whether the elements of an array differ."""
        return bool(self._group.settings.get("distinct"))

    @property
    def can_be_names(self) -> bool:
        """Whether every value, as text, can be the name of a field."""
        return self._pool.can_be_names

    def _numbers(self, rows: Rows) -> Positions:
        if self._group not in rows.memo:
            rows.memo[self._group] = self._drawn(rows)
        kept: Positions = rows.memo[self._group]
        return kept

    def _drawn(self, rows: Rows) -> Positions:
        if self._without_repeats is not None:
            return self._without_repeats.numbers(rows)
        if not self._random and self._choose is None:
            return (rows.turns % np.uint64(len(self._pool))).view(np.int64)
        bits = counter_hash.draw(rows.keys, self._salt)
        if self._choose is not None:
            return self._choose(bits)
        return counter_hash.below(bits, len(self._pool))

    def variety(self) -> Variety | None:
        if self._weights:
            return Variety.weighted(self._weights)
        if self._random or self._pool.variety < len(self._pool):
            return Variety.among(self._pool.variety)
        return Variety.never_repeats(len(self._pool))

    def encode(self, rows: Rows) -> Encoded:
        return self._pool.encode(self._numbers(rows))

    def values(self, rows: Rows) -> Values | None:
        return self._pool.values(self._numbers(rows))

    def text(self, rows: Rows) -> Text:
        return self._pool.text(self._numbers(rows))


@column_type("enum", "fromArray", "select", "choice")
def read_enum(node: TemplateNode) -> Column:
    """Type enum: values (fromArray: in), randomOrder (else in turn), weights, group, distinct."""
    raw = node.items("values", "in")
    values = [extended(node, "values", value) for value in raw]
    weights = read_weights(node, len(values), "value")
    random = node.flag("randomOrder", False)
    distinct = node.flag("distinct", False)
    group = group_of(node)
    group.join(
        node, ValueSet("value", len(values)), {"weights": tuple(weights), "distinct": distinct}
    )
    pool = Pool(values or [None])
    if distinct:
        _check_distinct(node, values, weights)
    alone = group.salted == node.path
    return EnumColumn(group, pool, random or not alone, node.record.longest or 0)


def read_weights(node: TemplateNode, count: int, what: str) -> list[float]:
    """``weights``, one for each of ``count`` things; empty where none are given."""
    weights = node.numbers("weights", least=0)
    if weights and len(weights) != count:
        node.refuse(
            "weights", f"needs {counted(count, 'weight')}, one for each {what}, not {len(weights)}"
        )
        return []
    if weights and not sum(weights):
        node.refuse("weights", "are all 0: at least one must be positive")
        return []
    return weights


def _check_distinct(node: TemplateNode, values: list[Any], weights: list[float]) -> None:
    longest = node.record.longest
    if longest is None:
        node.refuse("distinct", "applies only to the elements of an array")
        return
    possible = len(weights) - weights.count(0) if weights else len(values)
    if longest > possible:
        node.refuse(
            "distinct",
            f"the array can have {counted(longest, 'element')}, but there "
            f"{'is' if possible == 1 else 'are'} only {counted(possible, 'value')}; "
            "give a smaller maxLength or more values",
        )
    if not node.has("group"):
        encoded = [bson_value(value) for value in values]
        for index, entry in enumerate(encoded):
            if entry in encoded[:index]:
                node.refuse("values", f"has {shown(values[index])} twice, and must be distinct")
