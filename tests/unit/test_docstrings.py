"""Every public method has a docstring, its own or that of the method that it overrides.

Ruff's D102 asks for one on each override as well, where it could only repeat the base's.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType, ModuleType

import dataworks_tasks
import producer

PACKAGES = (dataworks_tasks, producer)


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            yield import_module(found.name)


def undocumented(module: ModuleType) -> Iterator[str]:
    for class_name, found in vars(module).items():
        if not inspect.isclass(found) or found.__module__ != module.__name__:
            continue
        if class_name.startswith("_"):
            continue
        for name, member in vars(found).items():
            is_method = isinstance(member, FunctionType | classmethod | staticmethod | property)
            # None has a docstring since Python 3.13.
            bases = [vars(base)[name] for base in found.__mro__ if name in vars(base)]
            documented = any(getattr(base, "__doc__", "") for base in bases)
            if is_method and not name.startswith("_") and not documented:
                yield f"{module.__name__}.{class_name}.{name}"


def test_every_public_method_has_a_docstring_or_inherits_one() -> None:
    missing = [
        name for package in PACKAGES for each in modules(package) for name in undocumented(each)
    ]

    assert not missing


def test_a_method_without_docstring_is_found() -> None:
    module = ModuleType("example")
    exec(  # noqa: S102 - a module whose classes have no docstrings
        "class Base:\n def run(self):\n  'Run.'\n def stop(self): ...\n"
        "class Derived(Base):\n def run(self): ...\n def stop(self): ...\n",
        module.__dict__,
    )

    assert list(undocumented(module)) == [
        "example.Base.stop",
        "example.Derived.stop",
    ]
