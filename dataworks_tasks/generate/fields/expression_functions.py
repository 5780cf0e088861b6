"""The operators and functions of expressions, by name, on columns of values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataworks_tasks.generate.batch.values import (
    Kind,
    Mask,
    Text,
    Values,
    as_text,
    both,
    text_of,
)
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError

Apply = Callable[[Sequence[Values], int], Values]
_ANY = frozenset(Kind)
_NUMBER = frozenset({Kind.NUMBER})
_TEXT = frozenset({Kind.TEXT})
_TRUTH = frozenset({Kind.BOOLEAN})
_ORDERED = frozenset({Kind.NUMBER, Kind.DATE})
_MILLISECONDS = 1000


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


def _present(arguments: Sequence[Values]) -> Mask | None:
    mask: Mask | None = None
    for values in arguments:
        mask = both(mask, values.present)
    return mask


def _numeric(function: Callable[..., Any], least: int, most: int = 0) -> Function:
    def apply(arguments: Sequence[Values], _count: int) -> Values:
        with np.errstate(all="ignore"):
            data = function(*(values.data for values in arguments))
        present = _present(arguments)
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

    return Function(apply, _ANY, Kind.BOOLEAN, 2, 2, alike=True)


def _same_text(left: Text, right: Text) -> Mask:
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
        text = as_text(values)
        if text.vocabulary is not None and text.numbers is not None:
            changed = text.vocabulary.derived(name, function).at(text.numbers)
        else:
            changed = text_of([function(word) for word in text.strings()])
        return Values.of_text(changed, values.present)

    return Function(apply, _ANY, Kind.TEXT, 1, 1)


def _concat(arguments: Sequence[Values], count: int) -> Values:
    segments = [segment for values in arguments for segment in as_text(values).segments]
    return Values.of_text(Text(segments, count), _present(arguments))


def _choose(arguments: Sequence[Values], count: int) -> Values:
    condition, yes, no = arguments
    where = condition.data if condition.present is None else condition.data & condition.present
    present: Mask | None = None
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
    text = as_text(arguments[0])
    data = np.fromiter(map(len, text.strings()), np.int64, count)
    return Values(Kind.NUMBER, data, None, arguments[0].present)


def _seconds(arguments: Sequence[Values], _count: int) -> Values:
    later, earlier = arguments
    data = (later.data - earlier.data) / _MILLISECONDS
    return Values(Kind.NUMBER, data, None, _present(arguments))


def _year(arguments: Sequence[Values], _count: int) -> Values:
    years = arguments[0].data.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64)
    return Values(Kind.NUMBER, years + 1970, None, arguments[0].present)


def _round(data: Any, digits: Any = None) -> Any:
    """Half to even on the scaled value: multiply, round, divide, each exact by IEEE 754."""
    scale = float(10 ** int(digits[0])) if digits is not None and len(digits) else 1.0
    return np.rint(data * scale) / scale


def _integral(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda data: function(data).astype(np.int64)


def _divide(left: Any, right: Any) -> Any:
    return np.true_divide(left, right)


def _remainder(left: Any, right: Any) -> Any:
    return np.mod(left.astype(np.float64), right)


def slug(word: str) -> str:
    """``word`` as it stands in an address: ASCII letters and digits in lower case, and dashes."""
    plain = unicodedata.normalize("NFKD", word.replace("ß", "ss")).encode("ascii", "ignore")
    return re.sub(r"[^a-z0-9]+", "-", plain.decode().lower()).strip("-")


_NUMBERS_MINUS = _numeric(np.subtract, 2)

FUNCTIONS: dict[str, Function] = {
    "+": _numeric(np.add, 2),
    "-": _NUMBERS_MINUS,
    "*": _numeric(np.multiply, 2),
    "/": _numeric(_divide, 2),
    "%": _numeric(_remainder, 2),
    "negative": _numeric(np.negative, 1),
    "==": _equality(wanted=True),
    "!=": _equality(wanted=False),
    "<": _ordering(np.less),
    "<=": _ordering(np.less_equal),
    ">": _ordering(np.greater),
    ">=": _ordering(np.greater_equal),
    "and": _truth(np.logical_and, 2),
    "or": _truth(np.logical_or, 2),
    "not": _truth(np.logical_not, 1),
    "min": _numeric(lambda *data: np.minimum.reduce(np.broadcast_arrays(*data)), 2, 20),
    "max": _numeric(lambda *data: np.maximum.reduce(np.broadcast_arrays(*data)), 2, 20),
    "abs": _numeric(np.abs, 1),
    "floor": _numeric(_integral(np.floor), 1),
    "ceil": _numeric(_integral(np.ceil), 1),
    "round": _numeric(_round, 1, 2),
    "if": Function(_choose, _ANY, None, 3, 3),
    "concat": Function(_concat, _ANY, Kind.TEXT, 1, 50),
    "lower": _words("lower", str.lower),
    "upper": _words("upper", str.upper),
    "title": _words("title", str.title),
    "slug": _words("slug", slug),
    "length": Function(_length, _TEXT, Kind.NUMBER, 1, 1),
    "seconds": Function(_seconds, frozenset({Kind.DATE}), Kind.NUMBER, 2, 2),
    "year": Function(_year, frozenset({Kind.DATE}), Kind.NUMBER, 1, 1),
}
