"""Refuse an argument of the wrong type in one line, before anything starts."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dataworks_tasks.errors import UsageError

T = TypeVar("T")


@cache
def _adapter(wanted: Any) -> TypeAdapter[Any]:
    return TypeAdapter(wanted)


def checked(name: str, value: object, wanted: type[T]) -> T:
    """Return ``value``, a dataclass, with each field as an instance of the field's type.

    Raises UsageError for another class, and for a field whose value is not of its type.
    """
    check_type(name, value, wanted)
    members = {field.name: getattr(value, field.name) for field in fields(wanted)}  # type: ignore[arg-type]
    kind: Any = wanted
    try:
        found: T = _adapter(kind).validate_python(members)
    except ValidationError as error:
        raise as_usage_error(error, f"{name}.") from None
    return found


def check_type(name: str, value: object, wanted: type) -> None:
    """Raise UsageError unless ``value`` is an instance of ``wanted``."""
    if not isinstance(value, wanted):
        raise UsageError(
            f"{name} is {_shown(value)}",
            f"Give a {wanted.__name__}: {name}={wanted.__name__}(...)",
        )


def check_run(run_id: object) -> None:
    """Raise UsageError unless ``run_id`` is text."""
    if not isinstance(run_id, str):
        remedy = "Give its run_id" if hasattr(run_id, "run_id") else "Give a string like 'gen-...'"
        raise UsageError(f"a run is named by its id, not by {_shown(run_id)}", remedy)


def as_usage_error(error: ValidationError, prefix: str = "") -> UsageError:
    """Return the first problem as an error of ours, without the value."""
    first: Any = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    problem = first["msg"].removeprefix("Value error, ")
    return UsageError(
        f"{prefix}{place} is {_shown(first['input'])}: {problem[:1].lower()}{problem[1:]}"
    )


def _shown(value: object) -> str:
    name = "class" if isinstance(value, type) else type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
