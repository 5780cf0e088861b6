"""Dates and durations in expressions: milliseconds as int64, exact or an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch.values import Kind, Values, both, text_of
from dataworks_tasks.generate.fields import exact

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS = 1000
_CYCLE = 146_097 * 24 * 60 * 60 * _MILLISECONDS
_CYCLE_YEARS = 400
"""After so many years the calendar repeats, with its weekdays."""
_YEAR_OR_PERCENT = re.compile("%[Y%]")
_FORMATS = frozenset("YmdHMSfjyBbAaIp%")

Apply = Callable[[Sequence[Values], int], Values]


def shifted(kind: Kind, sign: int) -> Apply:
    """Return the function that adds a duration to a date or duration, or subtracts it."""

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        left, right = arguments
        present = both(left.present, right.present)
        compute = exact.add if sign > 0 else exact.subtract
        return Values(kind, compute(left.data, right.data, present), None, present)

    return apply


def times(arguments: Sequence[Values], _count: int) -> Values:
    """Multiply a duration by a number, to the millisecond."""
    duration, number = arguments
    if duration.kind is not Kind.DURATION:
        duration, number = number, duration
    present = both(duration.present, number.present)
    if number.data.dtype.kind in "iu":
        data = exact.multiply(duration.data, number.data, present)
    else:
        data = exact.whole(np.rint(duration.data * number.data), present, "a duration")
    return Values(Kind.DURATION, data, None, present)


def seconds_between(arguments: Sequence[Values], _count: int) -> Values:
    """Seconds from the second date to the first, or of one duration."""
    if len(arguments) == 1:
        (duration,) = arguments
        return Values(Kind.NUMBER, duration.data / _MILLISECONDS, None, duration.present)
    later, earlier = arguments
    present = both(later.present, earlier.present)
    return Values(Kind.NUMBER, (later.data - earlier.data) / _MILLISECONDS, None, present)


def part_of_date(part: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Apply:
    """Return a function that applies ``part`` to milliseconds since 1970, in UTC."""

    def apply(arguments: Sequence[Values], _count: int) -> Values:
        (date,) = arguments
        return Values(Kind.NUMBER, part(date.data), None, date.present)

    return apply


def year(data: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the calendar year."""
    return _as(data, "Y") + 1970


def month(data: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 to 12."""
    return _as(data, "M") % 12 + 1


def day(data: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the day of the month, from 1."""
    months = data.astype("datetime64[ms]").astype("datetime64[M]")
    first: NDArray[np.int64] = months.astype("datetime64[D]").astype(np.int64)
    return _as(data, "D") - first + 1


def weekday(data: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 for Monday to 7 for Sunday, as ISO 8601 counts; 1970 began on a Thursday."""
    return (_as(data, "D") + 3) % 7 + 1


def hour(data: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 to 23."""
    return _as(data, "h") % 24


def _as(data: NDArray[np.int64], unit: str) -> NDArray[np.int64]:
    counted: NDArray[np.int64] = (
        data.astype("datetime64[ms]").astype(f"datetime64[{unit}]").astype(np.int64)
    )
    return counted


def format_problem(pattern: str) -> str:
    """Return what is wrong with a pattern of ``format``; empty for a valid one."""
    letters = pattern.split("%")[1:] if pattern.replace("%%", "").count("%") else []
    for letter in (part[:1] for part in letters if part):
        if letter not in _FORMATS:
            return f"%{letter} is not one of %{', %'.join(sorted(_FORMATS))}"
    return ""


def formatted(arguments: Sequence[Values], _count: int) -> Values:
    """Dates as ``strftime`` writes them, in English and in UTC."""
    date, pattern = arguments
    present = both(date.present, pattern.present)
    patterns = pattern.text.strings() if pattern.text is not None else []
    words = [
        _written(stamp, form) for stamp, form in zip(date.data.tolist(), patterns, strict=True)
    ]
    return Values.of_text(text_of(words), present)


def _written(milliseconds: int, form: str) -> str:
    # Python's dates end in the year 9999, and its %Y pads the year on some systems only.
    cycles, rest = divmod(milliseconds, _CYCLE)
    date = _EPOCH + timedelta(milliseconds=rest)
    year = f"{date.year + cycles * _CYCLE_YEARS:04}"
    return date.strftime(
        _YEAR_OR_PERCENT.sub(lambda found: year if found[0] == "%Y" else found[0], form)
    )


def number_formatted(arguments: Sequence[Values], _count: int) -> Values:
    """Numbers with a fixed number of decimals, half to even on the decimal digits."""
    number, decimals = arguments
    places = int(decimals.data[0]) if len(decimals.data) else 0
    words = [f"{value:.{places}f}" for value in number.data.tolist()]
    return Values.of_text(text_of(words), both(number.present, decimals.present))


Part = Callable[[NDArray[np.int64]], NDArray[np.int64]]
PARTS: dict[str, Part] = {
    "year": year, "month": month, "day": day, "weekday": weekday, "hour": hour,
}  # fmt: skip
