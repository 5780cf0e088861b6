"""Durations in templates and expressions: ``90s``, ``1h30m``, ``3d``, in milliseconds."""

from __future__ import annotations

import re

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
PATTERN = r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+"
LONGEST = 10**15
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(PATTERN)


def milliseconds_of(text: str) -> int | None:
    """Return the milliseconds of a duration; None for other text or over 30,000 years."""
    if not _WHOLE.fullmatch(text):
        return None
    total = sum(float(number) * UNITS[unit] for number, unit in _PART.findall(text))
    return round(total) if total <= LONGEST else None
