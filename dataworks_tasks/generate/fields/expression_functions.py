"""The operators and functions of expressions, by name, on columns of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataworks_tasks.generate.batch.values import (
    Kind,
    RowMask,
    Text,
    Values,
    both,
    decoded_text,
    text_of,
)
from dataworks_tasks.generate.fields import exact, expression_times
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.latin_letters import latin_letters

Apply = Callable[[Sequence[Values], int], Values]
_ANY = frozenset(Kind) - {Kind.DURATION}
_EVERY = frozenset(Kind)
_NUMBER = frozenset({Kind.NUMBER})
_TEXT = frozenset({Kind.TEXT})
_TRUTH = frozenset({Kind.BOOLEAN})
_ORDERED = frozenset({Kind.NUMBER, Kind.DATE, Kind.DURATION})
_DATE = frozenset({Kind.DATE})
_PLACES = 15


@dataclass(frozen=True, slots=True)
class Function:
    """What it accepts, what it makes, and how. ``makes`` None: what its last argument is."""

    apply: Apply
    accepts: frozenset[Kind]
    makes: Kind | None
    least: int
    most: int
    alike: bool = False
    """Whether all arguments must be of one kind."""

    def check(self, name: str, kinds: Sequence[Kind]) -> Kind:
        """The kind of the result. Raises ExpressionError for arguments it does not accept."""
        if not self.least <= len(kinds) <= self.most:
            wanted = str(self.least) if self.least == self.most else f"{self.least} or more"
            raise ExpressionError(f"{name} takes {wanted} arguments, not {len(kinds)}")
        for kind in kinds:
            if kind not in self.accepts:
                accepted = " or ".join(sorted(self.accepts))
                raise ExpressionError(f"{name} takes a {accepted}, not a {kind}")
        if name == "if" and (kinds[0] is not Kind.BOOLEAN or kinds[1] is not kinds[2]):
            raise ExpressionError("if takes a condition and two values of one kind")
        if self.alike and len(set(kinds)) > 1:
            raise ExpressionError(f"{name} cannot mix {' and '.join(sorted(set(kinds)))}")
        return self.makes or kinds[-1]


@dataclass(frozen=True, slots=True)
class Overloads:
    """A function for each list of kinds; the first one says what is wrong with any other."""

    functions: tuple[tuple[tuple[Kind, ...], Function], ...]
    otherwise: Function

    def for_kinds(self, kinds: Sequence[Kind]) -> Function:
        """The function for arguments of these kinds."""
        found = (function for accepted, function in self.functions if accepted == tuple(kinds))
        return next(found, self.otherwise)


def _present(arguments: Sequence[Values]) -> RowMask | None:
    mask: RowMask | None = None
    for values in arguments:
        mask = both(mask, values.present)
    return mask


def _numeric(
    function: Callable[..., Any],
    least: int,
    most: int = 0,
    exactly: Callable[..., Any] | None = None,
) -> Function:
    """A function of numbers; ``exactly`` is the one for longs, with the rows that count at last."""

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        columns = [values.data for values in arguments]
        present = _present(arguments)
        if exactly is not None and all(column.dtype.kind in "iu" for column in columns):
            return Values(Kind.NUMBER, exactly(*columns, present), None, present)
        with np.errstate(all="ignore"):
            data = function(*columns)
        if data.dtype.kind == "f":
            finite = np.isfinite(data)
            if not finite.all():
                present = both(present, finite)
                data = np.where(finite, data, 0.0)
        return Values(Kind.NUMBER, data, None, present)

    return Function(apply, _NUMBER, Kind.NUMBER, least, most or least)


def _ordering(function: Callable[..., Any]) -> Function:
    def apply(arguments: Sequence[Values], _count: int) -> Values:
        left, right = arguments
        data = function(left.data, right.data)
        present = _present(arguments)
        return Values(Kind.BOOLEAN, data if present is None else data & present)

    return Function(apply, _ORDERED, Kind.BOOLEAN, 2, 2, alike=True)


def _equality(wanted: bool) -> Function:
    def apply(arguments: Sequence[Values], _count: int) -> Values:
        left, right = arguments
        if left.text is not None and right.text is not None:
            data = _same_text(left.text, right.text)
        else:
            data = left.data == right.data
        present = _present(arguments)
        data = data if wanted else ~data
        return Values(Kind.BOOLEAN, data if present is None else data & present)

    return Function(apply, _EVERY, Kind.BOOLEAN, 2, 2, alike=True)


def _same_text(left: Text, right: Text) -> RowMask:
    if left.constant is not None:
        left, right = right, left
    if left.vocabulary is not None and left.numbers is not None and right.constant is not None:
        words = left.vocabulary.words
        same = np.fromiter((word == right.constant for word in words), np.bool_, len(words))
        return same[left.numbers]
    pairs = zip(left.strings(), right.strings(), strict=True)
    return np.fromiter((one == two for one, two in pairs), np.bool_, left.count)


def _truth(function: Callable[..., Any], arity: int) -> Function:
    def apply(arguments: Sequence[Values], _count: int) -> Values:
        masks = [
            values.data if values.present is None else values.data & values.present
            for values in arguments
        ]
        return Values(Kind.BOOLEAN, function(*masks))

    return Function(apply, _TRUTH, Kind.BOOLEAN, arity, arity)


def _words(name: str, function: Callable[[str], str]) -> Function:
    """A function of one text: through the pool once where the text comes from a pool."""

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        (values,) = arguments
        text = decoded_text(values)
        if text.vocabulary is not None and text.numbers is not None:
            changed = text.vocabulary.derived(name, function).at(text.numbers)
        else:
            changed = text_of([function(word) for word in text.strings()])
        return Values.of_text(changed, values.present)

    return Function(apply, _ANY, Kind.TEXT, 1, 1)


def _concat(arguments: Sequence[Values], count: int) -> Values:
    segments = [segment for values in arguments for segment in decoded_text(values).segments]
    return Values.of_text(Text(segments, count), _present(arguments))


def _choose(arguments: Sequence[Values], count: int) -> Values:
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


def _length(arguments: Sequence[Values], count: int) -> Values:
    text = decoded_text(arguments[0])
    data = np.fromiter(map(len, text.strings()), np.int64, count)
    return Values(Kind.NUMBER, data, None, arguments[0].present)


def _coalesce(arguments: Sequence[Values], count: int) -> Values:
    """The first value of each row that is there."""
    result = arguments[0]
    for other in arguments[1:]:
        if result.present is None:
            return result
        there = Values(Kind.BOOLEAN, result.present)
        result = _choose([there, result, other], count)
    return result


def _is_null(arguments: Sequence[Values], count: int) -> Values:
    present = arguments[0].present
    return Values(Kind.BOOLEAN, np.zeros(count, np.bool_) if present is None else ~present)


def _by_row(function: Callable[..., str]) -> Apply:
    """A function of a text and more, row by row."""

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        columns = [
            values.text.strings() if values.text is not None else values.data.tolist()
            for values in arguments
        ]
        words = [function(*row) for row in zip(*columns, strict=True)]
        return Values.of_text(text_of(words), _present(arguments))

    return apply


def _substring(text: str, start: float, length: float | None = None) -> str:
    first = max(int(start), 0) if start >= 0 else max(len(text) + int(start), 0)
    return text[first:] if length is None else text[first : first + max(int(length), 0)]


def _power(arguments: Sequence[Values], _count: int) -> Values:
    """By multiplications alone: a C library's power differs from processor to processor."""
    base, exponent = arguments
    power = exponent.data[0] if len(exponent.data) else 1
    if power == 0.5:
        with np.errstate(invalid="ignore"):
            data = np.sqrt(base.data.astype(np.float64))
        there = base.data >= 0
        return Values(Kind.NUMBER, np.where(there, data, 0.0), None, both(base.present, there))
    result = Values(Kind.NUMBER, np.ones_like(base.data), None, base.present)
    for _ in range(abs(int(power))):
        result = _MULTIPLY.apply([result, base], len(base.data))
    if power < 0:
        one = Values(Kind.NUMBER, np.ones(len(base.data)))
        return _DIVIDE.apply([one, result], len(base.data))
    return result


def _round(arguments: Sequence[Values], _count: int) -> Values:
    """Half to even on the scaled value: multiply, round, divide, each exact by IEEE 754."""
    values = arguments[0]
    digits = int(arguments[1].data[0]) if len(arguments) > 1 and len(arguments[1].data) else 0
    if values.data.dtype.kind in "iu" and digits >= 0:
        return values
    scale = float(10**digits) if digits >= 0 else 1 / float(10**-digits)
    with np.errstate(over="ignore"):
        scaled = values.data * scale
    data = np.rint(scaled) / scale
    finite = np.isfinite(scaled)
    if not finite.all():
        # A number so large has no decimals to round.
        data = np.where(finite, data, values.data)
    return Values(Kind.NUMBER, data, None, values.present)


def _integral(name: str, function: Callable[[Any], Any]) -> Function:
    def apply(arguments: Sequence[Values], _count: int) -> Values:
        (values,) = arguments
        if values.data.dtype.kind in "iu":
            return values
        data = exact.whole(function(values.data), values.present, name)
        return Values(Kind.NUMBER, data, None, values.present)

    return Function(apply, _NUMBER, Kind.NUMBER, 1, 1)


def _remainder(arguments: Sequence[Values], _count: int) -> Values:
    left, right = arguments
    present = both(_present(arguments), right.data != 0)
    if left.data.dtype.kind in "iu" and right.data.dtype.kind in "iu":
        return Values(Kind.NUMBER, exact.remainder(left.data, right.data), None, present)
    with np.errstate(all="ignore"):
        data = np.mod(left.data.astype(np.float64), right.data)
    finite = np.isfinite(data)
    return Values(Kind.NUMBER, np.where(finite, data, 0.0), None, both(present, finite))


def _extreme(reduce: Callable[..., Any]) -> Function:
    return _numeric(lambda *data: reduce(np.broadcast_arrays(*data)), 2, 20)


def slug(word: str) -> str:
    """``word`` as in an address: ASCII letters and digits in lower case, and dashes."""
    return "-".join(latin_letters(word).split())


_MULTIPLY = _numeric(np.multiply, 2, exactly=exact.multiply)
_DIVIDE = _numeric(np.true_divide, 2)
_TIME, _SPAN, _COUNT = Kind.DATE, Kind.DURATION, Kind.NUMBER


def _shifting(sign: int, numbers: Function) -> Overloads:
    functions: list[tuple[tuple[Kind, ...], Function]] = [
        ((kind, _SPAN), Function(expression_times.shifted(kind, sign), _EVERY, kind, 2, 2))
        for kind in (_TIME, _SPAN)
    ]
    if sign > 0:
        dates = Function(expression_times.shifted(_TIME, sign), _EVERY, _TIME, 2, 2)
        functions.append(((_SPAN, _TIME), dates))
    else:
        spans = Function(expression_times.shifted(_SPAN, sign), _EVERY, _SPAN, 2, 2)
        functions.append(((_TIME, _TIME), spans))
    return Overloads(tuple(functions), numbers)


def _times() -> Overloads:
    function = Function(expression_times.times, _EVERY, _SPAN, 2, 2)
    return Overloads((((_SPAN, _COUNT), function), ((_COUNT, _SPAN), function)), _MULTIPLY)


def _formatting() -> Overloads:
    dates = Function(expression_times.formatted, _EVERY, Kind.TEXT, 2, 2)
    numbers = Function(expression_times.number_formatted, _NUMBER, Kind.TEXT, 2, 2)
    return Overloads((((_TIME, Kind.TEXT), dates),), numbers)


def _counting_seconds() -> Overloads:
    span = Function(expression_times.seconds_between, _EVERY, Kind.NUMBER, 1, 1)
    dates = Function(expression_times.seconds_between, _DATE, Kind.NUMBER, 2, 2)
    return Overloads((((_SPAN,), span),), dates)


FUNCTIONS: dict[str, Function | Overloads] = {
    "+": _shifting(1, _numeric(np.add, 2, exactly=exact.add)),
    "-": _shifting(-1, _numeric(np.subtract, 2, exactly=exact.subtract)),
    "*": _times(),
    "/": _DIVIDE,
    "%": Function(_remainder, _NUMBER, Kind.NUMBER, 2, 2),
    "negative": _numeric(np.negative, 1, exactly=exact.negative),
    "==": _equality(wanted=True),
    "!=": _equality(wanted=False),
    "<": _ordering(np.less),
    "<=": _ordering(np.less_equal),
    ">": _ordering(np.greater),
    ">=": _ordering(np.greater_equal),
    "and": _truth(np.logical_and, 2),
    "or": _truth(np.logical_or, 2),
    "not": _truth(np.logical_not, 1),
    "min": _extreme(np.minimum.reduce),
    "max": _extreme(np.maximum.reduce),
    "abs": _numeric(np.abs, 1, exactly=exact.absolute),
    "floor": _integral("floor", np.floor),
    "ceil": _integral("ceil", np.ceil),
    "round": Function(_round, _NUMBER, Kind.NUMBER, 1, 2),
    "if": Function(_choose, _ANY, None, 3, 3),
    "concat": Function(_concat, _ANY, Kind.TEXT, 1, 50),
    "lower": _words("lower", str.lower),
    "upper": _words("upper", str.upper),
    "title": _words("title", str.title),
    "slug": _words("slug", slug),
    "length": Function(_length, _TEXT, Kind.NUMBER, 1, 1),
    "coalesce": Function(_coalesce, _ANY, None, 2, 20, alike=True),
    "isNull": Function(_is_null, _ANY, Kind.BOOLEAN, 1, 1),
    "substr": Overloads(
        (
            ((Kind.TEXT, _COUNT), Function(_by_row(_substring), _EVERY, Kind.TEXT, 2, 2)),
            ((Kind.TEXT, _COUNT, _COUNT), Function(_by_row(_substring), _EVERY, Kind.TEXT, 3, 3)),
        ),
        Function(_by_row(_substring), _TEXT, Kind.TEXT, 2, 3),
    ),
    "replace": Function(_by_row(str.replace), _TEXT, Kind.TEXT, 3, 3),
    "pow": Function(_power, _NUMBER, Kind.NUMBER, 2, 2),
    "seconds": _counting_seconds(),
    "format": _formatting(),
    **{
        name: Function(expression_times.part_of_date(part), _DATE, Kind.NUMBER, 1, 1)
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
