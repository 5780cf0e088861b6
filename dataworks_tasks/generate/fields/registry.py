"""The field types a template can name, by name: each in its own file under ``columns/``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.template_node import TemplateNode

Read = Callable[[TemplateNode], Column]


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type's name, and the function that reads one out of its JSON object."""

    name: str
    read: Read


_types: dict[str, ColumnType] = {}


def column_type(name: str, *aliases: str) -> Callable[[Read], Read]:
    """Register the function that reads a column of type ``name``."""

    def register(read: Read) -> Read:
        for known in (name, *aliases):
            _types[known.lower()] = ColumnType(name, read)
        return read

    return register


def column_types() -> dict[str, ColumnType]:
    """Return every type by its name and aliases in lower case."""
    _import_all()
    return _types


@cache
def _import_all() -> None:
    package = import_module("dataworks_tasks.generate.columns")
    for module in iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
