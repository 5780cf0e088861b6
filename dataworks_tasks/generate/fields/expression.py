"""Expressions over the other fields of a document: ``expr`` and ``when``, by column.

A tree of ``expression_syntax`` is linked against a record: every name resolved, every type known
before a document is made. A null or missing operand makes the result null; a comparison with it
is false; an aggregate leaves it out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dataworks_tasks.generate.batch.arena import Positions
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.values import Kind, Mask, Values, constant_text, take
from dataworks_tasks.generate.fields.expression_functions import FUNCTIONS, Function
from dataworks_tasks.generate.fields.expression_syntax import (
    Call,
    ExpressionError,
    Literal,
    Name,
    Node,
    parse_expression,
)
from dataworks_tasks.generate.fields.model import Field, Record
from dataworks_tasks.generate.fields.scope import HoldsElements, Reference, linked, resolve
from dataworks_tasks.generate.fields.template_node import TemplateNode

_AGGREGATES = {"sum", "min", "max", "avg", "count"}


class Linked(ABC):
    """A node whose names are resolved; ``kind`` is what it makes."""

    kind: Kind

    @abstractmethod
    def evaluate(self, rows: Rows) -> Values:
        """The value of every row."""


@dataclass(frozen=True, slots=True)
class _Constant(Linked):
    value: float | int | str | bool
    kind: Kind

    def evaluate(self, rows: Rows) -> Values:
        if isinstance(self.value, str):
            return Values.of_text(constant_text(self.value, len(rows)))
        return Values(self.kind, np.full(len(rows), self.value))


@dataclass(frozen=True, slots=True)
class _Read(Linked):
    reference: Reference
    kind: Kind

    def evaluate(self, rows: Rows) -> Values:
        return self.reference.evaluate(rows)


@dataclass(frozen=True, slots=True)
class _Apply(Linked):
    function: Function
    arguments: tuple[Linked, ...]
    kind: Kind

    def evaluate(self, rows: Rows) -> Values:
        return self.function.apply([part.evaluate(rows) for part in self.arguments], len(rows))


@dataclass(frozen=True, slots=True)
class _Aggregate(Linked):
    name: str
    reference: Reference
    kind: Kind = Kind.NUMBER

    def evaluate(self, rows: Rows) -> Values:
        way: list[Positions] = []
        for _ in range(self.reference.up):
            rows, parents = rows.parent_rows()
            way.append(parents)
        elements, values = self.reference.elements(rows)
        _, owners = elements.parent_rows()
        result = _aggregate(self.name, owners, values, len(rows))
        for parents in reversed(way):
            result = take(result, parents)
        return result


def _aggregate(name: str, parents: Positions, values: Values | None, count: int) -> Values:
    """By row, over its elements. bincount adds in order, so a sum has the same bits anywhere."""
    if values is not None and values.present is not None:
        parents, data = parents[values.present], values.data
        data = data[values.present] if len(data) else data
    else:
        data = np.empty(0) if values is None else values.data
    counts = np.bincount(parents, minlength=count)
    if name == "count":
        return Values(Kind.NUMBER, counts)
    if name in {"min", "max"}:
        start = np.inf if name == "min" else -np.inf
        found = np.full(count, start)
        (np.minimum if name == "min" else np.maximum).at(found, parents, data.astype(np.float64))
        filled = counts > 0
        found[~filled] = 0.0
        whole = found.astype(np.int64) if data.dtype.kind in "iu" else found
        return Values(Kind.NUMBER, whole, None, None if filled.all() else filled)
    total = np.bincount(parents, weights=data, minlength=count)
    if name == "avg":
        filled = counts > 0
        average = total / np.maximum(counts, 1)
        return Values(Kind.NUMBER, average, None, None if filled.all() else filled)
    return Values(Kind.NUMBER, total.astype(np.int64) if data.dtype.kind in "iu" else total)


class Expression:
    """The text of an expression; ``link`` makes it ready to evaluate."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.node = parse_expression(text)
        self._linked: Linked | None = None
        self._fields: list[Field] = []

    @classmethod
    def read(cls, node: TemplateNode, key: str, *aliases: str) -> Expression | None:
        """The expression under ``key``; a syntax error is a finding."""
        text = node.text(key, "", *aliases)
        try:
            return cls(text)
        except ExpressionError as error:
            node.refuse(key, str(error))
            return None

    def link(self, record: Record) -> Kind:
        """Resolve the names in ``record``. Raises ExpressionError."""
        names = _names(self.node)
        self._fields = [step for name in names for step in resolve(name, record).steps]
        self._linked = _link(self.node, record)
        return self._linked.kind

    def fields(self) -> Iterator[Field]:
        """Every field it reads."""
        yield from self._fields

    def evaluate(self, rows: Rows) -> Values:
        """The value of every row."""
        return linked(self._linked).evaluate(rows)

    def holds(self, rows: Rows) -> Mask:
        """Where the condition is true."""
        values = self.evaluate(rows)
        return values.data if values.present is None else values.data & values.present


def _link(node: Node, record: Record) -> Linked:
    if isinstance(node, Literal):
        return _Constant(node.value, _literal_kind(node.value))
    if isinstance(node, Name):
        reference = resolve(node.path, record)
        kind = reference.kind
        if reference.array is not None:
            raise ExpressionError(f"{node.path} is many values; use sum, min, max, avg or count")
        if kind is None:
            raise ExpressionError(f"{node.path} is of a type an expression cannot use")
        return _Read(reference, kind)
    aggregate = _link_aggregate(node, record)
    if aggregate is not None:
        return aggregate
    arguments = tuple(_link(argument, record) for argument in node.arguments)
    function = FUNCTIONS.get(node.function)
    if function is None:
        raise ExpressionError(f"there is no function {node.function!r}. {_functions()}")
    kinds = [argument.kind for argument in arguments]
    return _Apply(function, arguments, function.check(node.function, kinds))


def _link_aggregate(node: Call, record: Record) -> Linked | None:
    argument = node.arguments[0] if len(node.arguments) == 1 else None
    if node.function not in _AGGREGATES or not isinstance(argument, Name):
        return None
    reference = resolve(argument.path, record)
    if reference.array is None:
        raise ExpressionError(f"{node.function}({argument.path}): there is no array in this path")
    whole = reference.steps[-1] is reference.array
    array = reference.array.column
    inside = array.content.column.kind if isinstance(array, HoldsElements) else None
    kind = inside if whole else reference.kind
    if node.function != "count" and kind is not Kind.NUMBER:
        raise ExpressionError(f"{node.function}({argument.path}): these are not numbers")
    return _Aggregate(node.function, reference)


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, Name):
        yield node.path
    if isinstance(node, Call):
        for argument in node.arguments:
            yield from _names(argument)


def _literal_kind(value: float | int | str | bool) -> Kind:
    if isinstance(value, bool):
        return Kind.BOOLEAN
    return Kind.TEXT if isinstance(value, str) else Kind.NUMBER


def _functions() -> str:
    names = [name for name in FUNCTIONS if name.isalpha()]
    return "Known: " + ", ".join(sorted({*names, *_AGGREGATES}))
