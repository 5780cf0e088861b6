"""Expressions over the other fields of a document: ``expr`` and ``when``, by column.

A tree of ``expression_syntax`` is linked against a record: every name resolved, every type known
before a document is made. A null or missing operand makes the result null; a comparison with it
is false; an aggregate leaves it out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch.arena import Positions
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.values import Kind, RowMask, Values, constant_text, take
from dataworks_tasks.generate.fields import exact
from dataworks_tasks.generate.fields.expression_function import Function, Overloads
from dataworks_tasks.generate.fields.expression_functions import FUNCTIONS, check_constants
from dataworks_tasks.generate.fields.expression_syntax import (
    Call,
    Duration,
    ExpressionError,
    Literal,
    Name,
    Node,
    parse_expression,
)
from dataworks_tasks.generate.fields.model import Field, Record
from dataworks_tasks.generate.fields.scope import HoldsElements, Reference, linked, resolve
from dataworks_tasks.generate.fields.template_node import ABSENT, TemplateNode

_AGGREGATES = {"sum", "min", "max", "avg", "count"}


class Linked(ABC):
    """A node whose names are resolved; ``kind`` is what it makes."""

    kind: Kind

    @abstractmethod
    def evaluate(self, rows: Rows) -> Values:
        """Return the value of every row."""


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
class _Index(Linked):
    """An element's index in its array, without those that are missing."""

    kind: Kind = Kind.NUMBER

    def evaluate(self, rows: Rows) -> Values:
        return Values(Kind.NUMBER, linked(rows.names))


@dataclass(frozen=True, slots=True)
class _Choose(Linked):
    """``if``: a branch that is not taken in a row cannot be out of range there."""

    function: Function
    condition: Linked
    yes: Linked
    no: Linked
    kind: Kind

    def evaluate(self, rows: Rows) -> Values:
        condition = self.condition.evaluate(rows)
        holds = condition.data if condition.present is None else condition.data & condition.present
        branches = [_where(self.yes, rows, holds), _where(self.no, rows, ~holds)]
        return self.function.apply([condition, *branches], len(rows))


def _where(branch: Linked, rows: Rows, holds: RowMask) -> Values:
    try:
        return branch.evaluate(rows)
    except exact.OutOfRange:
        numbers = np.flatnonzero(holds)
        if not len(numbers):
            return _Constant(0, branch.kind).evaluate(rows)
        values = branch.evaluate(rows.select(numbers))
        places = np.maximum(np.cumsum(holds) - 1, 0)
        return take(values, places)


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
    """Aggregate each row's elements.

    bincount adds in order, so a sum has the same bits anywhere.
    """
    data: NDArray[Any]
    if values is not None and values.present is not None:
        parents, data = parents[values.present], values.data
        data = data[values.present] if len(data) else data
    else:
        data = np.zeros(0, np.int64) if values is None else values.data
    counts = np.bincount(parents, minlength=count)
    if name == "count":
        return Values(Kind.NUMBER, counts)
    filled = counts > 0
    present = None if filled.all() else filled
    if name in {"min", "max"}:
        return Values(Kind.NUMBER, _extremes(name, parents, data, count), None, present)
    whole = data.dtype.kind in "iu"
    if name == "sum" and whole:
        return Values(Kind.NUMBER, exact.sums(data, parents, count))
    total = np.bincount(parents, weights=data, minlength=count)
    if name == "avg":
        return Values(Kind.NUMBER, total / np.maximum(counts, 1), None, present)
    return Values(Kind.NUMBER, total)


def _extremes(name: str, parents: Positions, data: NDArray[Any], count: int) -> NDArray[Any]:
    """Return the least or largest element of every row; 0 for a row without elements."""
    found: NDArray[Any] = np.zeros(count, np.int64 if data.dtype.kind in "iu" else np.float64)
    found[parents] = data  # start with any of a row's elements
    (np.minimum if name == "min" else np.maximum).at(found, parents, data)
    return found


class Expression:
    """The text of an expression; ``link`` makes it ready to evaluate."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.node = parse_expression(text)
        self._now: int | None = None
        self._linked: Linked | None = None
        self._fields: list[Field] = []
        self.operands: list[Field] = []
        """The fields that its names refer to, without those on the path to them."""

    @classmethod
    def read(cls, node: TemplateNode, key: str, *aliases: str) -> Expression | None:
        """Parse the expression under ``key``; report a syntax error as a finding."""
        text = node.text(key, "", *aliases)
        if not text:
            given = [node.peek(name) for name in (key, *aliases)]
            if all(value is ABSENT for value in given):
                node.refuse(key, "is missing")
            elif "" in given:
                node.refuse(key, "must be an expression, not an empty string")
            return None
        try:
            expression = cls(text)
        except ExpressionError as error:
            node.refuse(key, str(error))
            return None
        if "now" in _calls(expression.node):
            expression._now = node.reader.now()
        return expression

    def link(self, record: Record) -> Kind:
        """Resolve the names in ``record``. Raises ExpressionError."""
        names = list(_names(self.node))
        references = [resolve(name, record) for name in names]
        self._fields = [step for reference in references for step in reference.steps]
        self.operands = [reference.steps[-1] for reference in references]
        self._linked = _link(self.node, record, self._now)
        return self._linked.kind

    def fields(self) -> Iterator[Field]:
        """Every field it reads."""
        yield from self._fields

    def evaluate(self, rows: Rows) -> Values:
        """Return the value of every row."""
        return linked(self._linked).evaluate(rows)

    def holds(self, rows: Rows) -> RowMask:
        """Return where the condition is true."""
        values = self.evaluate(rows)
        return values.data if values.present is None else values.data & values.present


def _link(node: Node, record: Record, now: int | None) -> Linked:
    if isinstance(node, Literal):
        _check_literal(node.value)
        return _Constant(node.value, _literal_kind(node.value))
    if isinstance(node, Duration):
        return _Constant(node.milliseconds, Kind.DURATION)
    if isinstance(node, Name):
        reference = resolve(node.path, record)
        kind = reference.kind
        if reference.array is not None:
            raise ExpressionError(f"{node.path} has many values; use sum, min, max, avg or count")
        if kind is None:
            raise ExpressionError(f"{node.path} has a type that an expression cannot use")
        return _Read(reference, kind)
    if node == Call("now", ()) and now is not None:
        return _Constant(now, Kind.DATE)
    if node == Call("index", ()):
        if record.longest is None:
            raise ExpressionError("index() can be used only in the elements of an array")
        return _Index()
    return _link_aggregate(node, record) or _link_function(node, record, now)


def _link_function(node: Call, record: Record, now: int | None) -> Linked:
    arguments = tuple(_link(argument, record, now) for argument in node.arguments)
    function = FUNCTIONS.get(node.function)
    if function is None:
        raise ExpressionError(f"there is no function {node.function!r}. {_functions()}")
    kinds = [argument.kind for argument in arguments]
    if isinstance(function, Overloads):
        function = function.for_kinds(kinds)
    kind = function.check(node.function, kinds)
    check_constants(
        node.function,
        [part.value if isinstance(part, Literal) else None for part in node.arguments],
    )
    if node.function == "if":
        condition, yes, no = arguments
        return _Choose(function, condition, yes, no, kind)
    return _Apply(function, arguments, kind)


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


def _calls(node: Node) -> Iterator[str]:
    if isinstance(node, Call):
        yield node.function
        for argument in node.arguments:
            yield from _calls(argument)


def _check_literal(value: float | int | str | bool) -> None:
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise ExpressionError(f"{value} does not fit a long; write it with a decimal point")
    if isinstance(value, float) and not isfinite(value):
        raise ExpressionError("a number is larger than a double can be")


def _literal_kind(value: float | int | str | bool) -> Kind:
    if isinstance(value, bool):
        return Kind.BOOLEAN
    return Kind.TEXT if isinstance(value, str) else Kind.NUMBER


_OPERATORS = frozenset({"and", "or", "not", "negative"})


def _functions() -> str:
    names = [name for name in FUNCTIONS if name.isalpha() and name not in _OPERATORS]
    return "Known: " + ", ".join(sorted({*names, *_AGGREGATES, "now", "index"}))
