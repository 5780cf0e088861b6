"""Durations in a readable form."""

from __future__ import annotations


def shown_duration(seconds: float) -> str:
    """Format a duration like 0:07, 12:34 or 26:10:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
