"""The operators and functions of expressions, by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dataworks_tasks.generate.batch.values import Kind
from dataworks_tasks.generate.fields import exact, expression_times
from dataworks_tasks.generate.fields.expression_conditions import (
    choose,
    coalesce,
    equality,
    is_null,
    ordering,
    truth,
)
from dataworks_tasks.generate.fields.expression_function import (
    ANY_KIND,
    DATE_KIND,
    EVERY_KIND,
    NUMBER_KIND,
    TEXT_KIND,
    Function,
    Overloads,
)
from dataworks_tasks.generate.fields.expression_numbers import (
    DIVIDE,
    MULTIPLY,
    extreme,
    integral,
    numeric,
    power,
    remainder,
    rounded,
)
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.expression_texts import (
    by_row,
    concat,
    length,
    slug,
    substring,
    words,
)

_PLACES = 15
_TIME, _SPAN, _COUNT = Kind.DATE, Kind.DURATION, Kind.NUMBER


def _shifting(sign: int, numbers: Function) -> Overloads:
    functions: list[tuple[tuple[Kind, ...], Function]] = [
        ((kind, _SPAN), Function(expression_times.shifted(kind, sign), EVERY_KIND, kind, 2, 2))
        for kind in (_TIME, _SPAN)
    ]
    if sign > 0:
        dates = Function(expression_times.shifted(_TIME, sign), EVERY_KIND, _TIME, 2, 2)
        functions.append(((_SPAN, _TIME), dates))
    else:
        spans = Function(expression_times.shifted(_SPAN, sign), EVERY_KIND, _SPAN, 2, 2)
        functions.append(((_TIME, _TIME), spans))
    return Overloads(tuple(functions), numbers)


def _times() -> Overloads:
    function = Function(expression_times.times, EVERY_KIND, _SPAN, 2, 2)
    return Overloads((((_SPAN, _COUNT), function), ((_COUNT, _SPAN), function)), MULTIPLY)


def _formatting() -> Overloads:
    dates = Function(expression_times.formatted, EVERY_KIND, Kind.TEXT, 2, 2)
    numbers = Function(expression_times.number_formatted, NUMBER_KIND, Kind.TEXT, 2, 2)
    return Overloads((((_TIME, Kind.TEXT), dates),), numbers)


def _counting_seconds() -> Overloads:
    span = Function(expression_times.seconds_between, frozenset({_SPAN}), Kind.NUMBER, 1, 1)
    dates = Function(expression_times.seconds_between, DATE_KIND, Kind.NUMBER, 2, 2)
    return Overloads(tuple(((kind,), span) for kind in Kind), dates)


FUNCTIONS: dict[str, Function | Overloads] = {
    "+": _shifting(1, numeric(np.add, 2, exactly=exact.add)),
    "-": _shifting(-1, numeric(np.subtract, 2, exactly=exact.subtract)),
    "*": _times(),
    "/": DIVIDE,
    "%": Function(remainder, NUMBER_KIND, Kind.NUMBER, 2, 2),
    "negative": numeric(np.negative, 1, exactly=exact.negative),
    "==": equality(wanted=True),
    "!=": equality(wanted=False),
    "<": ordering(np.less),
    "<=": ordering(np.less_equal),
    ">": ordering(np.greater),
    ">=": ordering(np.greater_equal),
    "and": truth(np.logical_and, 2),
    "or": truth(np.logical_or, 2),
    "not": truth(np.logical_not, 1),
    "min": extreme(np.minimum.reduce),
    "max": extreme(np.maximum.reduce),
    "abs": numeric(np.abs, 1, exactly=exact.absolute),
    "floor": integral("floor", np.floor),
    "ceil": integral("ceil", np.ceil),
    "round": Function(rounded, NUMBER_KIND, Kind.NUMBER, 1, 2),
    "if": Function(choose, ANY_KIND, None, 3, 3),
    "concat": Function(concat, ANY_KIND, Kind.TEXT, 1, 50),
    "lower": words("lower", str.lower),
    "upper": words("upper", str.upper),
    "title": words("title", str.title),
    "slug": words("slug", slug),
    "length": Function(length, TEXT_KIND, Kind.NUMBER, 1, 1),
    "coalesce": Function(coalesce, ANY_KIND, None, 2, 20, alike=True),
    "isNull": Function(is_null, ANY_KIND, Kind.BOOLEAN, 1, 1),
    "substr": Overloads(
        (
            ((Kind.TEXT, _COUNT), Function(by_row(substring), EVERY_KIND, Kind.TEXT, 2, 2)),
            ((Kind.TEXT, _COUNT, _COUNT), Function(by_row(substring), EVERY_KIND, Kind.TEXT, 3, 3)),
        ),
        Function(by_row(substring), TEXT_KIND, Kind.TEXT, 2, 3),
    ),
    "replace": Function(by_row(str.replace), TEXT_KIND, Kind.TEXT, 3, 3),
    "pow": Function(power, NUMBER_KIND, Kind.NUMBER, 2, 2),
    "seconds": _counting_seconds(),
    "format": _formatting(),
    **{
        name: Function(expression_times.part_of_date(part), DATE_KIND, Kind.NUMBER, 1, 1)
        for name, part in expression_times.PARTS.items()
    },
}


def check_constants(name: str, constants: Sequence[float | int | str | bool | None]) -> None:
    """Refuse arguments that must be the same in every row; None is one that is not a constant.

    Raises ExpressionError.
    """
    last = constants[-1] if constants else None
    if name == "round" and len(constants) > 1:
        _check_whole("round takes its decimals", last, -_PLACES, _PLACES)
    if name == "pow" and last != 0.5:
        _check_whole("pow takes 0.5 or an exponent", last, -64, 64)
    if name == "format" and isinstance(last, str):
        problem = expression_times.format_problem(last)
        if problem:
            raise ExpressionError(f"format: {problem}")
    elif name == "format":
        _check_whole("format takes a pattern in quotes, or decimals", last, 0, _PLACES)


def _check_whole(what: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ExpressionError(f"{what} as a number from {least} to {most}")
