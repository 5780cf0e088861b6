"""The table of situations in docs/reliability.md is that of the marked tests, and each exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.fault_record import PAGE, ROOT
from tests.support.verdict_table import TESTS, Row, marked_rows, verdict_table

REWRITE = "run: make verdict-table"
ROWS = marked_rows()


def test_the_page_shows_what_the_tests_say() -> None:
    _, _, rest = PAGE.read_text().partition("<!-- verdicts: begin -->\n")
    assert rest.partition("<!-- verdicts: end -->")[0] == verdict_table(ROWS), REWRITE


def test_every_item_has_its_situations() -> None:
    assert {row.item for row in ROWS} == set(range(1, 16))
    assert len({row.situation for row in ROWS}) == len(ROWS), "each situation once"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.test)
def test_its_test_runs_with_the_others(row: Row) -> None:
    """Neither skipped nor left to the long tests: the suite proves the row, too."""
    text = (ROOT / row.file).read_text()
    found = re.search(rf"((?:^@.*\n(?:^ .*\n|^\).*\n)*)*)^def {row.test}\(", text, re.MULTILINE)
    assert found is not None, "the row names a test that does not exist"
    assert not re.search(r"mark\.(soak|skip|xfail)", found[1])


def test_rows_are_found_where_marks_are(tmp_path: Path) -> None:
    assert TESTS.is_dir()
    marks = sum(
        len(re.findall(r"^@pytest\.mark\.situation\(", path.read_text(), re.MULTILINE))
        for path in TESTS.rglob("test_*.py")
    )
    assert marks == len(ROWS)
