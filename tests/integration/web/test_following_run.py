"""The page of a migration that follows its source, in a real browser, until its cut-over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dataworks_tasks.failpoints import VARIABLE
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.run_limits import RunLimits
from producer.local.services import RunningService
from tests.fleet import Fleet, pool_children, wait_until
from tests.integration.sync.test_follow import check_equal, fill, start
from tests.integration.sync.test_follow_api import settings
from tests.integration.web.conftest import PASSWORD, Serve, Visitor
from tests.support.browser import Browser

LIMITED = "limit to 5,000 documents/s"
HALTED = "reconcile-write.before"
"""Where a worker's process halts with a change that is not at the target yet."""
FIGURE = """[...document.querySelectorAll('.figures div')]
  .find((each) => each.querySelector('dt').textContent === '{}')?.querySelector('dd').textContent"""
LAG_CHART = "[...document.querySelectorAll('svg.chart')].at(-1)?.getAttribute('aria-label') ?? ''"
RATE = "document.querySelector('form[action$=rate]')"
CUT_OVER = "document.querySelector('form[action$=cutover]')"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "browser") as opened:
        yield opened


def sign_in(browser: Browser, visitor: Visitor) -> None:
    browser.open(f"{visitor.url}sign-in")
    for name, value in (("name", "anna"), ("password", PASSWORD)):
        browser.value(f"document.querySelector('input[name={name}]').value = '{value}'")
    browser.value("document.querySelector('.sign-in button').click()")
    signed_in = "document.querySelector('.sign-out')?.textContent.includes('anna')"
    wait_until(lambda: browser.value(signed_in), "anna is signed in")


def stopped_processes(worker: RunningService) -> list[psutil.Process]:
    children = pool_children(worker)
    return [child for child in children if child.status() == psutil.STATUS_STOPPED]


def lag_of_chart(browser: Browser) -> tuple[int, int]:
    """Seconds behind the source now, and at most; -1 without a chart."""
    found = re.fullmatch(
        r"Seconds behind the source: (\d+) now, (\d+) at most", browser.value(LAG_CHART)
    )
    return (int(found[1]), int(found[2])) if found else (-1, -1)


def lag_fell(browser: Browser) -> bool:
    now, most = lag_of_chart(browser)
    return most >= 4 and 2 * now <= most


def test_the_lag_grows_and_falls_and_the_run_is_cut_over(
    live_fleet: Fleet,
    serve_pages: Serve,
    browser: Browser,
    password_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("producer.view.follow_figures._CAUGHT_UP_SECONDS", 3.0)
    fleet = live_fleet
    fill(fleet, "orders", count=50)
    run = start(fleet)
    config = settings(fleet)
    visitor = serve_pages(config, password_file=password_file, allow_actions=True)
    sign_in(browser, visitor)
    page = f"{visitor.url}runs/{run}"
    browser.open(page)

    def is_phase(word: str) -> bool:
        return bool(browser.value(FIGURE.format("Phase")) == word)

    assert is_phase("copying"), "no worker is there yet"
    assert browser.value(LAG_CHART).startswith("Documents per second") or not browser.value(
        LAG_CHART
    )
    # The halted process keeps its claim as long as the test reads the page.
    halt = {VARIABLE: f"{HALTED}=stop@1:{fleet.folder}", "FRAMEWORK_CLAIM_SECONDS": "120"}
    worker = fleet.start_worker(2, **halt)
    wait_until(lambda: is_phase("following"), "the page says that the run follows")
    fleet.mongo[fleet.database].orders.update_one({"_id": 7}, {"$set": {"n": "changed"}})
    wait_until(lambda: stopped_processes(worker), "a process halts with the change")
    wait_until(lambda: is_phase("catching up"), "the page says that the run is behind")
    wait_until(lambda: lag_of_chart(browser)[0] >= 4, "the lag grows on the chart")
    for process in stopped_processes(worker):
        process.resume()
    wait_until(lambda: is_phase("following"), "the page says that the run has caught up")
    wait_until(lambda: lag_fell(browser), "the lag falls on the chart, which keeps its height")
    browser.value(f"{RATE}.elements.max_rate.value = '5k'")
    browser.value(f"{RATE}.querySelector('button').click()")
    wait_until(lambda: fleet.ledger.limits(run) == RunLimits(max_rate=5000.0), "the new limit")
    assert browser.errors == []

    browser.scripts(allowed=False)
    browser.open(visitor.url)
    assert re.search(
        r"following, \d s behind", browser.value("document.querySelector('#now').textContent")
    )
    browser.open(page)
    assert lag_of_chart(browser)[1] >= 4
    assert is_phase("following")
    assert browser.value("document.querySelector('noscript meta[http-equiv=refresh]') !== null")
    browser.value(f"{CUT_OVER}.elements.quiet.value = '1'")
    browser.value(f"{CUT_OVER}.elements.run.value = 'mig-another'")
    assert not browser.value(f"{CUT_OVER}.checkValidity()")
    browser.value(f"{CUT_OVER}.querySelector('button').click()")
    assert [event.action for event in fleet.ledger.history.events(run)] == [LIMITED]
    browser.value(f"{CUT_OVER}.elements.run.value = '{run}'")
    browser.value(f"{CUT_OVER}.querySelector('button').click()")
    fleet.wait_for_state(run, RunState.COMPLETE)
    check_equal(fleet, "orders")

    def shows_the_end() -> bool:
        browser.open(page)
        shown = browser.value("document.querySelector('#now').textContent")
        return "the run is complete" in shown and "cut-over complete, by anna (127." in shown

    wait_until(shows_the_end, "the page shows the steps, and who asked for them")
    assert is_phase("complete")
    assert browser.value(CUT_OVER) is None
