"""What runs say, and what they said before: the table of docs/reliability.md, made by the tests.

A test of a situation is marked with it::

    @pytest.mark.situation(3, "the source is renamed", before="`complete`", now="`failed`, exit 1")

``python -m tests.support.verdict_table`` (``make verdict-table``) runs the marked tests and writes
the rows of those that passed into the page.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.fault_record import PAGE, ROOT, put_table

TESTS = ROOT / "tests"
_MARK = "situation"
_HEAD = "| item | situation | said before | says now | test |\n| --- | --- | --- | --- | --- |\n"


class Row(NamedTuple):
    """One situation; ``item`` is its number in the list that the tests come from."""

    item: int
    situation: str
    before: str
    now: str
    file: str
    test: str

    def __str__(self) -> str:
        name = f"`{Path(self.file).stem}::{self.test}`"
        cells = (str(self.item), self.situation, self.before, self.now, name)
        return f"| {' | '.join(cells)} |"


def marked_rows(folder: Path = TESTS) -> list[Row]:
    """Return the row of every marked test, in the order of items, files and lines."""
    rows = [row for path in sorted(folder.rglob("test_*.py")) for row in _rows_of(path)]
    return sorted(rows, key=lambda row: (row.item, row.file))


def _rows_of(path: Path) -> Iterator[Row]:
    text = path.read_text()
    if f"mark.{_MARK}(" not in text:
        return
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            for decorator in reversed(node.decorator_list):
                if isinstance(decorator, ast.Call) and _name(decorator.func) == _MARK:
                    item, situation = map(ast.literal_eval, decorator.args)
                    more = {str(k.arg): ast.literal_eval(k.value) for k in decorator.keywords}
                    file = str(path.relative_to(ROOT))
                    yield Row(item, situation, more["before"], more["now"], file, node.name)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def verdict_table(rows: Iterable[Row]) -> str:
    """Return the rows in Markdown."""
    return _HEAD + "".join(f"{row}\n" for row in rows)


class _Outcomes:
    """A plugin of pytest's: which tests passed, with all their parameters."""

    def __init__(self) -> None:
        self.passed: set[tuple[str, str]] = set()
        self.others: set[tuple[str, str]] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a phase of a test."""
        file, _, name = report.nodeid.partition("::")
        test = (file, name.partition("[")[0])
        if report.outcome != "passed":
            self.others.add(test)
        elif report.when == "call":
            self.passed.add(test)

    def holds(self, row: Row) -> bool:
        """Say whether the row's test ran and passed."""
        test = (row.file, row.test)
        return test in self.passed and test not in self.others


def main() -> None:
    """Run the marked tests, and write the rows of those that passed."""
    rows, outcomes = marked_rows(), _Outcomes()
    tests = dict.fromkeys(f"{row.file}::{row.test}" for row in rows)
    pytest.main(["-q", *sys.argv[1:], *tests], plugins=[outcomes])
    held = [row for row in rows if outcomes.holds(row)]
    put_table("verdicts", verdict_table(held), PAGE)
    for row in rows:
        if row not in held:
            sys.stderr.write(f"not written, its test did not pass: {row}\n")
    sys.exit(0 if held == rows else 1)


if __name__ == "__main__":
    main()
