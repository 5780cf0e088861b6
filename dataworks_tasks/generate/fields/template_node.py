"""One JSON object of a template while it is read: which keys were read, and the findings."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from math import isnan
from typing import Any, Protocol

from dataworks_tasks.errors import nearest_or_all
from dataworks_tasks.generate.fields.model import Column, Field, Record
from dataworks_tasks.numerals import counted

ABSENT = object()
_LARGEST = 1e300


class TemplateReading(Protocol):
    """The template that is being read: what it collects, and how its parts are read."""

    collection: str
    """The collection whose fields are read now."""
    shared: dict[str, Any]
    """mgodatagen's references by id, each as the ``reference`` type keeps it."""
    groups: dict[tuple[str, str], Any]
    """The groups of fields by collection and name."""

    def refuse(self, path: str, problem: str) -> None:
        """Record a finding."""
        ...

    def now(self) -> int:
        """Return the run's moment in milliseconds since 1970: the same wherever it is read."""
        ...

    def note(self, text: str) -> None:
        """Record something in the template that is ignored."""
        ...

    def read_record(self, content: object, path: str, record: Record) -> Record:
        """Fill ``record`` with the fields of an object."""
        ...

    def read_field(self, name: str, value: object, path: str, record: Record) -> Field:
        """Read a field: its column, and whether it is there."""
        ...

    def read_column(self, value: object, path: str, record: Record) -> Column:
        """Read a column without a name of its own."""
        ...


class TemplateNode:
    """Keys are case-insensitive, quoted numbers are numbers, and unread keys are refused.

    A bad value is recorded as a finding and replaced by the default, so that one reading
    finds everything; a template with findings is never used.
    """

    def __init__(
        self, members: Mapping[str, object], path: str, reader: TemplateReading, record: Record
    ) -> None:
        self.path = path
        self.reader = reader
        self.record = record
        self.asked: list[str] = []
        self._members: dict[str, tuple[str, object]] = {}
        self._used: set[str] = set()
        for key, value in members.items():
            if key.lower() in self._members:
                self.refuse(key, "is given twice, in upper and lower case")
            self._members[key.lower()] = (key, value)

    def refuse(self, key: str, problem: str) -> None:
        """Record a finding about ``key`` (empty: about this object)."""
        path = f"{self.path}.{key}" if key and self.path else key or self.path
        self.reader.refuse(path, problem)

    def has(self, name: str) -> bool:
        """Return whether the key is given."""
        return name.lower() in self._members

    def peek(self, name: str) -> object:
        """Return the value of ``name`` or ABSENT, without taking it."""
        return self._members.get(name.lower(), ("", ABSENT))[1]

    def put(self, name: str, value: object) -> None:
        """Replace the value of ``name`` with what it means."""
        self._members[name.lower()] = (name, value)

    def take(self, name: str, *aliases: str) -> object:
        """Take the value of ``name`` or of one of its aliases, or ABSENT."""
        found = ABSENT
        for known in (name, *aliases):
            self.asked.append(known)
            if known.lower() in self._members:
                self._used.add(known.lower())
                if found is not ABSENT:
                    self.refuse(known, f"means the same as another key of this object, {name!r}")
                found = self._members[known.lower()][1]
        return found

    def finish(self) -> None:
        """Refuse every key that was not read."""
        for key, (written, _) in self._members.items():
            if key not in self._used:
                near = difflib.get_close_matches(key, [name.lower() for name in self.asked], 1)
                spelled = next(
                    (name for name in self.asked if near and name.lower() == near[0]), ""
                )
                hint = f"Did you mean {spelled!r}?" if spelled else nearest_or_all(key, self.asked)
                self.refuse(written, f"unknown key. {hint}")

    def number(
        self,
        name: str,
        default: float,
        *aliases: str,
        least: float | None = None,
        most: float | None = None,
    ) -> float:
        """Take a finite number, quoted or not, between ``least`` and ``most``."""
        value = self.take(name, *aliases)
        if value is ABSENT:
            return default
        number = as_number(value)
        if number is None:
            self.refuse(name, _no_number(value))
            return default
        if (least is not None and number < least) or (most is not None and number > most):
            self.refuse(name, f"must be {_bounds(least, most)}, not {shown(value)}")
            return default
        return number

    def integer(
        self,
        name: str,
        default: int,
        *aliases: str,
        least: int | None = None,
        most: int | None = None,
    ) -> int:
        """Take a whole number."""
        number = self.number(name, default, *aliases, least=least, most=most)
        if number != int(number):
            self.refuse(name, f"must be a whole number, not {number}")
            return default
        return int(number)

    def decimal(self, name: str, default: Decimal, *aliases: str) -> Decimal:
        """Take a number with all its digits; a quoted one may have more than JSON allows."""
        value = self.take(name, *aliases)
        if value is ABSENT:
            return default
        number = as_number(value)
        if number is None:
            self.refuse(name, _no_number(value))
            return default
        return Decimal(value.strip() if isinstance(value, str) else str(value))

    def text(self, name: str, default: str, *aliases: str) -> str:
        """Take a string."""
        value = self.take(name, *aliases)
        if value is ABSENT:
            return default
        if not isinstance(value, str):
            self.refuse(name, f"must be a string, not {shown(value)}")
            return default
        return value

    def choice(self, name: str, default: str, accepted: Iterable[str], *aliases: str) -> str:
        """Take one of a few words, in upper or lower case."""
        word = self.text(name, default, *aliases)
        known = {entry.lower(): entry for entry in accepted}
        if word.lower() not in known and word != default:
            words = ", ".join(filter(None, known.values()))
            self.refuse(name, f"must be one of {words}, not {shown(word)}")
            return default
        return known.get(word.lower(), default)

    def flag(self, name: str, default: bool, *aliases: str) -> bool:
        """Take true or false, quoted or not."""
        value = self.take(name, *aliases)
        if value is ABSENT:
            return default
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if not isinstance(value, bool):
            self.refuse(name, f"must be true or false, not {shown(value)}")
            return default
        return value

    def items(self, name: str, *aliases: str, required: bool = True) -> list[object]:
        """Take a list that is not empty."""
        value = self.take(name, *aliases)
        if value is ABSENT and not required:
            return []
        if not isinstance(value, list) or not value:
            said = "is missing" if value is ABSENT else f"not {shown(value)}"
            self.refuse(name, f"must be a list with at least one entry, {said}")
            return []
        return value

    def numbers(self, name: str, *aliases: str, least: float | None = None) -> list[float]:
        """Take a list of numbers; empty if it is not given."""
        numbers = []
        for entry in self.items(name, *aliases, required=False):
            number = as_number(entry)
            if number is None or (least is not None and number < least):
                self.refuse(name, f"must be numbers{_bounds_of(least)}, not {shown(entry)}")
                return []
            numbers.append(number)
        return numbers

    def nested(self, name: str, *aliases: str) -> TemplateNode | None:
        """Take the object under ``name`` as a TemplateNode of its own; None: not given."""
        value = self.take(name, *aliases)
        if value is ABSENT:
            return None
        if not isinstance(value, dict):
            self.refuse(name, f"must be an object, not {shown(value)}")
            return None
        return TemplateNode(value, f"{self.path}.{name}".strip("."), self.reader, self.record)

    def column(self, value: object, step: str, record: Record | None = None) -> Column:
        """Read the column that ``value`` describes, as part ``step`` of this one."""
        path = f"{self.path}.{step}" if step else self.path
        return self.reader.read_column(value, path, record or self.record)


def as_number(value: object) -> float | int | None:
    """Return a finite JSON number, or the number in a string; None for anything else."""
    number: float | int | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    if isinstance(value, str):
        with suppress(ValueError):
            number = float(value)
        with suppress(ValueError):
            number = int(value)
    return number if number is not None and abs(number) <= _LARGEST else None


def _no_number(value: object) -> str:
    """Return why ``as_number`` refuses a value."""
    if isinstance(value, int | float) and not isinstance(value, bool) and not isnan(value):
        return f"must be between -{_LARGEST:g} and {_LARGEST:g}, not {shown(value)}"
    return f"must be a number, not {shown(value)}"


def shown(value: object) -> str:
    """Format a value for a message: short, as JSON."""
    if value is ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=repr)
    if isinstance(value, dict):
        text = f"an object with {counted(len(value), 'key')}" if value else "an empty object"
    return text if len(text) <= 60 else text[:57] + "..."


def _bounds(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f"between {least} and {most}"
    return f"at least {least}" if least is not None else f"at most {most}"


def _bounds_of(least: float | None) -> str:
    return "" if least is None else f" of at least {least}"
