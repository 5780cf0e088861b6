"""A function for expressions: which kinds it accepts, and what it computes from columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dataworks_tasks.generate.batch.values import Kind, RowMask, Values, both
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.numerals import counted

Apply = Callable[[Sequence[Values], int], Values]
ANY_KIND = frozenset(Kind) - {Kind.DURATION}
EVERY_KIND = frozenset(Kind)
NUMBER_KIND = frozenset({Kind.NUMBER})
TEXT_KIND = frozenset({Kind.TEXT})
BOOLEAN_KIND = frozenset({Kind.BOOLEAN})
ORDERED_KINDS = frozenset({Kind.NUMBER, Kind.DATE, Kind.DURATION})
DATE_KIND = frozenset({Kind.DATE})


@dataclass(frozen=True, slots=True)
class Function:
    """Which kinds a function accepts, the kind of its result, and how it is computed.

    ``makes`` is None for a function whose result has the kind of its last argument.
    """

    apply: Apply
    accepts: frozenset[Kind]
    makes: Kind | None
    least: int
    most: int
    alike: bool = False
    """Whether all arguments must be of the same kind."""

    def check(self, name: str, kinds: Sequence[Kind]) -> Kind:
        """Return the kind of the result. Raises ExpressionError for invalid arguments."""
        if not self.least <= len(kinds) <= self.most:
            wanted = counted(self.least, "argument")
            if self.least < self.most:
                wanted = f"{self.least} or more arguments"
            raise ExpressionError(f"{name} takes {wanted}, not {len(kinds)}")
        for kind in kinds:
            if kind not in self.accepts:
                accepted = " or ".join(sorted(self.accepts))
                hint = "; add a duration, such as 3d" if name in "+-" and Kind.DATE in kinds else ""
                raise ExpressionError(f"{name} takes a {accepted}, not a {kind}{hint}")
        if name == "if" and (kinds[0] is not Kind.BOOLEAN or kinds[1] is not kinds[2]):
            raise ExpressionError("if takes a condition and two values of one kind")
        if self.alike and len(set(kinds)) > 1:
            raise ExpressionError(f"{name} cannot mix {' and '.join(sorted(set(kinds)))}")
        return self.makes or kinds[-1]


@dataclass(frozen=True, slots=True)
class Overloads:
    """A function for each list of kinds; the first one reports errors for any other list."""

    functions: tuple[tuple[tuple[Kind, ...], Function], ...]
    otherwise: Function

    def for_kinds(self, kinds: Sequence[Kind]) -> Function:
        """Return the function for arguments of these kinds."""
        found = (function for accepted, function in self.functions if accepted == tuple(kinds))
        return next(found, self.otherwise)


def present_rows(arguments: Sequence[Values]) -> RowMask | None:
    """Return the rows in which every argument is present; None: all."""
    mask: RowMask | None = None
    for values in arguments:
        mask = both(mask, values.present)
    return mask
