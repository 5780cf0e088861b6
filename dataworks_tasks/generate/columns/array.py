"""``array``: elements of one kind, their number uniform, by a distribution or by weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dataworks_tasks.documents.bson_types import ARRAY
from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Positions
from dataworks_tasks.generate.batch.counter_hash import Bits
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Constant, Elements, Layout
from dataworks_tasks.generate.batch.values import Kind
from dataworks_tasks.generate.fields.distributions import read_distribution, weighted
from dataworks_tasks.generate.fields.encoded import Encoded, int32
from dataworks_tasks.generate.fields.expression import Expression
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.model import LONGEST_ARRAY, Column, Field, Linker, Record
from dataworks_tasks.generate.fields.numbers import whole_within
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.numerals import counted


@dataclass(frozen=True, slots=True)
class Length:
    """How many elements: between ``least`` and ``most``, chosen from 64 bits a row."""

    least: int
    most: int
    choose: Callable[[Bits], Positions] | None = None

    @property
    def fixed(self) -> bool:
        """Whether all arrays are equally long."""
        return self.least == self.most

    def counts(self, keys: Bits, field_salt: np.uint64) -> Positions:
        """Return the number of elements of every row."""
        if self.least == self.most:
            return np.full(len(keys), self.least)
        bits = counter_hash.draw(keys, field_salt)
        if self.choose is not None:
            return self.choose(bits)
        return counter_hash.below(bits, self.most - self.least + 1) + self.least


class ArrayColumn(Column):
    """Arrays of ``content``; an element that is missing is left out, not null."""

    def __init__(
        self, path: str, length: Length, content: Field, counted_by: Expression | None = None
    ) -> None:
        self.content = content
        self._length = length
        self._counted_by = counted_by
        self._salt = counter_hash.salt(path, "length")

    @property
    def least(self) -> int:
        """How many elements each array has at least."""
        return self._length.least if self.content.always else 0

    def elements(self, rows: Rows) -> Rows:
        """Return the rows of all arrays' elements, cached with ``rows``."""
        if self not in rows.memo:
            counts = self._counts(rows)
            fixed = self._length.fixed and self._counted_by is None
            elements = rows.elements(counts, self._length.most, fixed)
            present = self.content.present(elements)
            if present is not None:
                elements = _renumbered(elements.select(np.flatnonzero(present)))
            rows.memo[self] = elements
        kept: Rows = rows.memo[self]
        return kept

    def _counts(self, rows: Rows) -> Positions:
        if self._counted_by is None:
            return self._length.counts(rows.keys, self._salt)
        values = self._counted_by.evaluate(rows)
        counts = whole_within(values.data.astype(np.float64), self._length.least, self._length.most)
        return counts if values.present is None else np.where(values.present, counts, 0)

    def link(self, linker: Linker) -> None:
        if self._counted_by is None:
            return
        try:
            kind = self._counted_by.link(linker.record)
        except ExpressionError as error:
            linker.refuse("length", str(error))
            return
        if kind is not Kind.NUMBER:
            linker.refuse("length", f"must be a number, not a {kind}")

    def depends(self) -> Iterator[Field]:
        if self._counted_by is not None:
            yield from self._counted_by.fields()

    def most_elements(self) -> int:
        return max(self._length.most, 1)

    def nested(self) -> Iterator[Field]:
        yield self.content

    def encode(self, rows: Rows) -> Encoded:
        elements = self.elements(rows)
        _, parents = elements.parent_rows()
        counts = np.bincount(parents, minlength=len(rows))
        layout = Layout(self.content.there(elements))
        inside = Elements(counts, parents, layout)
        return Encoded(ARRAY, [int32(inside.size, 5), inside, Constant(b"\0")])


def _renumbered(elements: Rows) -> Rows:
    """Renumber elements after some were left out."""
    _, parents = elements.parent_rows()
    if len(parents):
        firsts = np.flatnonzero(np.diff(parents, prepend=-1))
        runs = np.diff(np.append(firsts, len(parents)))
        elements.names = np.arange(len(parents)) - np.repeat(firsts, runs)
    return elements


@column_type("array")
def read_array(node: TemplateNode) -> Column:
    """Type array: arrayContent, minLength 0, maxLength 3, size for both, length (an expression)."""
    counted_by = Expression.read(node, "length") if node.has("length") else None
    if not node.has("length"):
        node.take("length")
    if counted_by is not None:
        for key in ("size", "lengthWeights", "distribution"):
            if node.has(key):
                node.refuse(key, "cannot be combined with length")
        if not node.has("maxLength"):
            node.refuse(
                "maxLength", "is missing: the largest number of elements that length can produce"
            )
    length = read_length(node)
    record = Record(node.record, longest=length.most)
    path = f"{node.path}[]"
    content = node.take("arrayContent", "content")
    field = node.reader.read_field("", content, path, record)
    return ArrayColumn(node.path, length, field, counted_by)


def read_length(node: TemplateNode) -> Length:
    """Read how many elements an array, or entries a map, has."""
    weights = node.numbers("lengthWeights", least=0)
    size = node.integer("size", -1, least=0, most=LONGEST_ARRAY)
    least = node.integer("minLength", max(size, 0), least=0, most=LONGEST_ARRAY)
    default = size if size >= 0 else max(least, least + len(weights) - 1 if weights else 3)
    most = node.integer("maxLength", default, least=0, most=LONGEST_ARRAY)
    if most < least:
        node.refuse("maxLength", f"is {most}, less than minLength, which is {least}")
        return Length(least, least)
    sample = read_distribution(node, least, most)
    if weights:
        return _weighted_length(node, weights, least, most)
    if sample is None:
        return Length(least, most)
    return Length(least, most, lambda bits: whole_within(sample(bits), least, most))


def _weighted_length(node: TemplateNode, weights: list[float], least: int, most: int) -> Length:
    if len(weights) != most - least + 1:
        node.refuse(
            "lengthWeights", f"needs {counted(most - least + 1, 'weight')}, one for each length"
        )
        return Length(least, most)
    if not sum(weights):
        node.refuse("lengthWeights", "are all 0: at least one must be positive")
        return Length(least, most)
    choose = weighted(weights)
    return Length(least, most, lambda bits: choose(bits) + least)
