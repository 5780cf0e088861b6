"""The page's table of changes that tests notice: one area can be measured alone."""

from __future__ import annotations

from tests.support.fault_record import PAGE
from tests.support.mutants import Figures, mutants_table, read_table


def test_an_area_that_was_not_run_keeps_its_row() -> None:
    figures = {"ledger": Figures(1234, 91), "leases": Figures(269, 86)}
    page = f"# Page\n\n| ledger | other | table |\n\n{mutants_table(figures)}\n"
    assert read_table(page) == figures
    assert Figures.of(["killed", "timeout", "survived"]) == Figures(3, 67)


def test_the_page_has_rows() -> None:
    assert read_table(PAGE.read_text())
