"""Imports go one way: the producer knows the workers' package, never the other way round."""

from __future__ import annotations

import ast
from pathlib import Path

import dataworks_tasks


def test_workers_do_not_import_the_producer() -> None:
    package = Path(dataworks_tasks.__file__).parent
    offenders = [
        f"{path.relative_to(package)}: {name}"
        for path in package.rglob("*.py")
        for name in _imports(path)
        if name.partition(".")[0] == "producer"
    ]
    assert offenders == []


def _imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found
