"""Moments and durations of a template, in milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dataworks_tasks.generate.fields.durations import LONGEST, PATTERN, UNITS, milliseconds_of
from dataworks_tasks.generate.fields.template_node import ABSENT, TemplateNode, as_number, shown

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RELATIVE = re.compile(rf"now(?:(?P<sign>[+-])(?P<shift>{PATTERN}))?")


def shown_instant(milliseconds: int) -> str:
    """Format an instant as a template spells it."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def read_instant(node: TemplateNode, key: str, default: str) -> int:
    """Read an RFC 3339 instant, or ``now-30d``, as milliseconds since 1970.

    An instant without a time zone is UTC.
    """
    text = node.text(key, default)
    relative = _RELATIVE.fullmatch(text)
    if relative is not None:
        shift = milliseconds_of(relative["shift"]) if relative["shift"] else 0
        if shift is not None:
            return node.reader.now() + (-shift if relative["sign"] == "-" else shift)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        node.refuse(key, f"must be a date like 2024-05-31T12:00:00Z, not {shown(text)}")
        return 0
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    delta = instant - _EPOCH
    return delta.days * UNITS["d"] + delta.seconds * 1000 + delta.microseconds // 1000


def read_duration(node: TemplateNode, key: str, default: int) -> int:
    """Read a duration in milliseconds: "90s", "1h30m", "3d", or a number of seconds."""
    value = node.take(key)
    if value is ABSENT:
        return default
    seconds = as_number(value)
    total = round(seconds * 1000) if seconds is not None else -1
    if seconds is None and isinstance(value, str):
        found = milliseconds_of(value)
        total = -1 if found is None else found
    if not 0 <= total <= LONGEST:
        node.refuse(key, f"must be a duration like 90s, 15m, 36h or 3d, not {shown(value)}")
        return default
    return total
