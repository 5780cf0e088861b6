"""Comparisons, logic, and functions that choose between values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dataworks_tasks.generate.batch.values import Kind, RowMask, Text, Values, text_of
from dataworks_tasks.generate.fields.expression_function import (
    BOOLEAN_KIND,
    EVERY_KIND,
    ORDERED_KINDS,
    Function,
    present_rows,
)


def ordering(function: Callable[..., Any]) -> Function:
    """Make a function that compares two values of one kind; it is false for null."""

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        left, right = arguments
        data = function(left.data, right.data)
        present = present_rows(arguments)
        return Values(Kind.BOOLEAN, data if present is None else data & present)

    return Function(apply, ORDERED_KINDS, Kind.BOOLEAN, 2, 2, alike=True)


def equality(wanted: bool) -> Function:
    """Make ``==`` (``wanted``) or ``!=``, which are false for null."""

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        left, right = arguments
        if left.text is not None and right.text is not None:
            data = _same_text(left.text, right.text)
        else:
            data = left.data == right.data
        present = present_rows(arguments)
        data = data if wanted else ~data
        return Values(Kind.BOOLEAN, data if present is None else data & present)

    return Function(apply, EVERY_KIND, Kind.BOOLEAN, 2, 2, alike=True)


def _same_text(left: Text, right: Text) -> RowMask:
    if left.constant is not None:
        left, right = right, left
    if left.vocabulary is not None and left.numbers is not None and right.constant is not None:
        words = left.vocabulary.words
        same = np.fromiter((word == right.constant for word in words), np.bool_, len(words))
        return same[left.numbers]
    pairs = zip(left.strings(), right.strings(), strict=True)
    return np.fromiter((one == two for one, two in pairs), np.bool_, left.count)


def truth(function: Callable[..., Any], arity: int) -> Function:
    """Make a logical function of ``arity`` conditions; null counts as false."""

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        masks = [
            values.data if values.present is None else values.data & values.present
            for values in arguments
        ]
        return Values(Kind.BOOLEAN, function(*masks))

    return Function(apply, BOOLEAN_KIND, Kind.BOOLEAN, arity, arity)


def choose(arguments: Sequence[Values], count: int) -> Values:
    """Return the second argument in rows where the first is true, else the third."""
    condition, yes, no = arguments
    where = condition.data if condition.present is None else condition.data & condition.present
    present: RowMask | None = None
    if yes.present is not None or no.present is not None:
        every = np.ones(count, np.bool_)
        present = np.where(
            where,
            every if yes.present is None else yes.present,
            every if no.present is None else no.present,
        )
    if yes.text is not None and no.text is not None:
        rows = zip(where.tolist(), yes.text.strings(), no.text.strings(), strict=True)
        return Values.of_text(text_of([one if true else two for true, one, two in rows]), present)
    return Values(yes.kind, np.where(where, yes.data, no.data), None, present)


def coalesce(arguments: Sequence[Values], count: int) -> Values:
    """Return the first argument that is not null in each row."""
    result = arguments[0]
    for other in arguments[1:]:
        if result.present is None:
            return result
        there = Values(Kind.BOOLEAN, result.present)
        result = choose([there, result, other], count)
    return result


def is_null(arguments: Sequence[Values], count: int) -> Values:
    """Return for each row whether the argument is null."""
    present = arguments[0].present
    return Values(Kind.BOOLEAN, np.zeros(count, np.bool_) if present is None else ~present)
