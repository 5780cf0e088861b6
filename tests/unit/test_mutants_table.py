"""The page's table of changes that tests notice: one area can be measured alone."""

from __future__ import annotations

from tests.support.fault_record import PAGE
from tests.support.mutants import Figures, Result, changes_of_behavior, mutants_table, read_table


def test_an_area_that_was_not_run_keeps_its_row() -> None:
    figures = {"ledger": Figures(1234, 300, 91), "leases": Figures(269, 269, 86)}
    page = f"# Page\n\n| ledger | other | table |\n\n{mutants_table(figures)}\n"
    assert read_table(page) == figures


def test_a_sample_says_how_many_were_tried() -> None:
    outcomes = {"a": "killed", "b": "timeout", "c": "survived"}
    figures = Figures.of(Result(outcomes, changes=1200))
    assert figures == Figures(1200, 3, 67)
    assert "| ledger | 1,200 | 3 at random | 67% |" in mutants_table({"ledger": figures})


def test_the_page_has_rows() -> None:
    assert read_table(PAGE.read_text())


def test_a_type_that_nothing_reads_is_no_change() -> None:
    code = """
class Ledger:
    def xǁLedgerǁread__mutmut_orig(self):
        return cast("int | None", self.get(1))
    def xǁLedgerǁread__mutmut_1(self):
        return cast(None, self.get(1))
    def xǁLedgerǁread__mutmut_2(self):
        return cast("int | None", self.get(2))
    def xǁLedgerǁread__mutmut_3(self):
        return cast("int | None", )
"""
    names = [f"xǁLedgerǁread__mutmut_{number}" for number in (1, 2, 3)]
    assert changes_of_behavior(code, names) == names[1:]
