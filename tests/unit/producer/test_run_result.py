"""What a notebook shows of a run."""

from __future__ import annotations

from dataclasses import replace

from dataworks_tasks.ledger.contract import RunState
from producer.view.run_result import RunResult, RunStatus

RESULT = RunResult("gen-1", RunState.COMPLETE, 12_000, 1, 3.0, 0)
STATUS = RunStatus("gen-1", RunState.RUNNING, 500, 2000, 0.25, 5.0, 15.0, 0)


def test_a_result_is_a_table() -> None:
    html = RESULT._repr_html_()
    assert html.startswith("<table>")
    for words in ("gen-1", "complete", "12,000", "4,000 docs/s"):
        assert words in html
    bad = replace(RESULT, state=RunState.DIFFERENT, failures=7, remarks=("<b>a & b</b>",))
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in bad._repr_html_()
    assert not bad.is_good


def test_a_status_is_a_bar_and_a_table() -> None:
    html = STATUS._repr_html_()
    for words in ('<progress value="0.2500" max="1">', "500 of 2,000", "25%", "0:15"):
        assert words in html
    stuck = replace(STATUS, cause="no worker is <running>", seconds_left=None)
    assert "no worker is &lt;running&gt;" in stuck._repr_html_()
    assert "<th style='text-align:left'>left" not in stuck._repr_html_()
    assert not STATUS.is_over
