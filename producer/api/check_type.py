"""Refuse an argument of the wrong type in one line, before anything starts."""

from __future__ import annotations

from dataworks_tasks.errors import UsageError


def check_type(name: str, value: object, wanted: type) -> None:
    """Raise UsageError unless ``value`` is an instance of ``wanted``."""
    if not isinstance(value, wanted):
        found = "a class" if isinstance(value, type) else f"a {type(value).__name__}"
        raise UsageError(
            f"{name} is {found}", f"Give a {wanted.__name__}: {name}={wanted.__name__}(...)"
        )
