"""What a source file imports and defines, read once, without its expressions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple


class SourceFile(NamedTuple):
    """Names as the file spells them: ``package.module.name`` for ``from package.module import``."""

    imports: Sequence[str]
    definitions: Sequence[str]
    """Classes and functions at the top level."""


@cache
def read_source(path: Path) -> SourceFile:
    """Parse a file. An import within a function or a condition counts."""
    module = ast.parse(path.read_text())
    imports: list[str] = []
    for node in _statements(module.body):
        if isinstance(node, ast.Import):
            imports += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: write the whole name of the module"
            imports += (f"{node.module}.{alias.name}" for alias in node.names)
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return SourceFile(imports, [node.name for node in module.body if isinstance(node, kinds)])


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        for block in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, block, ()))
        for branch in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _statements(branch.body)
