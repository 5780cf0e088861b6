"""Numbers as people type and read them: 10k, 1e6; "1 message", "2 messages"."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_FACTORS = {"k": 10**3, "m": 10**6, "g": 10**9}
_GROUPED = re.compile(r"\d{1,3}(,\d{3})+")
_MOST_DIGITS = 30


def parse_count(text: str) -> int:
    """Return the whole number in ``text``: 500000, 500,000, 1_000_000, 10k, 5M, 2G, 1.5k or 1e6.

    Raises ValueError with a reason that can follow the text.
    """
    stripped = text.strip().lower()
    factor = _FACTORS.get(stripped[-1:], 1)
    digits = stripped[:-1] if factor > 1 else stripped
    if _GROUPED.fullmatch(stripped):  # as numbers are printed; in 1,500k the comma may be a point
        digits = digits.replace(",", "")
    try:
        number = Decimal(digits) * factor
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        raise ValueError("is not a number such as 500000, 10k, 5M or 1e6")
    if number != int(number):
        raise ValueError("is not a whole number")
    return int(number)


def counted(number: int, one: str, several: str = "") -> str:
    """Return ``number`` with its noun: ``counted(1, "message")`` is "1 message".

    ``several`` is the plural if it is not ``one`` with an s, or if a verb follows.
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def plain(number: float) -> str:
    """Return ``number`` with commas, its decimals if it has any, and never an exponent."""
    return f"{number:,.3f}".rstrip("0").rstrip(".")
