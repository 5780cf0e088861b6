"""Rename collections by patterns in which ``*`` matches anything."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.namespace import Namespace

Renames = Sequence[tuple[str, str]]
"""Pairs of an old and a new pattern. The first one that matches is used, star by star."""


def pattern_of(text: str) -> re.Pattern[str]:
    """Return the pattern as a regular expression with a group for each star."""
    return re.compile("(.*)".join(re.escape(part) for part in text.split("*")), re.DOTALL)


def renamed(namespace: Namespace, renames: Renames) -> Namespace:
    """Return the name that a collection has at the target.

    Raises UsageError for a new pattern with more stars than the old one.
    """
    for old, new in renames:
        match = pattern_of(old).fullmatch(str(namespace))
        if match is None:
            continue
        if new.count("*") > len(match.groups()):
            raise UsageError(
                f"--map {old}={new}: the right side has more * than the left",
                "Write as many * on both sides, like shop.*=archive.*",
            )
        first, *others = new.split("*")
        filled = zip(match.groups(), others, strict=False)
        return Namespace.parse(first + "".join(value + other for value, other in filled))
    return namespace
