"""The pages in a real browser, on runs in a real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dataworks_tasks.ledger.contract import DocumentFailure, RangeResult, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.batch_range import BatchRange
from tests.fleet import Fleet, wait_until
from tests.integration.web.conftest import Serve
from tests.integration.web.test_pages import HOSTILE, acknowledge, record_run
from tests.support.browser import Browser, axe_source

DONE = "document.querySelectorAll('.strip .done').length"
MISSING = "document.querySelectorAll('.strip .missing').length"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "browser") as opened:
        yield opened


@pytest.fixture
def varied_run(ledger: RedisLedger) -> str:
    """Return a run with everything that a page can show."""
    run_id = record_run(ledger, collection=HOSTILE)
    acknowledge(ledger, run_id, 0, 400)
    failure = DocumentFailure("k", HOSTILE, HOSTILE, HOSTILE)
    ledger.acknowledge(run_id, BatchRange(600, 700), RangeResult({}, (failure,)))
    ledger.history.sample(run_id)
    ledger.note_error(run_id, HOSTILE)
    return run_id


def test_the_strip_fills_while_the_run_works(
    ledger: RedisLedger, serve_pages: Serve, browser: Browser
) -> None:
    run_id = record_run(ledger)
    acknowledge(ledger, run_id, 0, 200)
    acknowledge(ledger, run_id, 300, 400)
    visitor = serve_pages()
    browser.open(f"{visitor.url}runs/{run_id}")
    assert (browser.value(DONE), browser.value(MISSING)) == (30, 70)
    acknowledge(ledger, run_id, 200, 300)
    wait_until(lambda: browser.value(DONE) == 40, "the gap closes on the page")
    acknowledge(ledger, run_id, 400, 1000)
    ledger.change_state(run_id, frozenset({RunState.RUNNING}), RunState.COMPLETE)
    wait_until(lambda: browser.value(MISSING) == 0, "the strip is full")
    state = "document.querySelector('#now .state').textContent"
    wait_until(lambda: browser.value(state) == "complete", "the page says so")
    assert browser.errors == []
    assert {urlsplit(url).netloc for url in browser.requested} <= {visitor.host, ""}


def test_a_real_run_is_followed_to_its_end(
    fleet: Fleet, serve_pages: Serve, browser: Browser
) -> None:
    fleet.start_worker(1)
    made = fleet.run_json(
        "generate", "service_order", "--total", 6000, "--max-rate", 300, "--collection", "o",
        "--batch-size", 500, "--detach",
    )  # fmt: skip
    visitor = serve_pages()
    browser.open(f"{visitor.url}runs/{made['run']}")
    seen: set[int] = set()

    def grows() -> bool:
        seen.add(browser.value(DONE))
        return len(seen) >= 3

    wait_until(grows, "the page follows it")
    assert max(seen) < 100
    fleet.run("rate", made["run"], "--max-rate", "none")
    wait_until(lambda: browser.value(DONE) == 100, "all of it is done")
    assert fleet.mongo[fleet.database]["o"].count_documents({}) == 6000
    shown = browser.value("document.querySelector('#now').textContent")
    assert "6,000 of 6,000" in shown
    assert browser.errors == []


def test_hostile_names_do_nothing(varied_run: str, serve_pages: Serve, browser: Browser) -> None:
    visitor = serve_pages()
    for path in ("", f"runs/{varied_run}", "workers"):
        browser.open(visitor.url + path)
        assert browser.value("document.querySelectorAll('main script').length") == 0
    assert HOSTILE in browser.value("fetch('/').then((answer) => answer.text())").replace(
        "&lt;", "<"
    ).replace("&gt;", ">")
    assert browser.errors == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(
    varied_run: str, serve_pages: Serve, browser: Browser, tmp_path: Path, dark: bool
) -> None:
    axe = axe_source(tmp_path)
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("correct-horse-battery")
    visitor, guarded = serve_pages(), serve_pages(password_file=password)
    browser.dark(dark)
    pages = [visitor.url, f"{visitor.url}runs/{varied_run}", f"{visitor.url}workers"]
    for url in (*pages, f"{visitor.url}nothing", f"{guarded.url}sign-in"):
        browser.open(url)
        browser.value(f"{axe}; 0")
        found = browser.value("axe.run().then((result) => result.violations)")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], url


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_sticks_out(
    varied_run: str, serve_pages: Serve, browser: Browser, width: int
) -> None:
    visitor = serve_pages()
    browser.width(width)
    for path in ("", f"runs/{varied_run}", "workers"):
        browser.open(visitor.url + path)
        assert browser.value("document.documentElement.scrollWidth") <= width, path


def test_without_scripts_the_page_is_there_and_reloads(
    varied_run: str, serve_pages: Serve, browser: Browser
) -> None:
    visitor = serve_pages()
    browser.scripts(allowed=False)
    browser.open(f"{visitor.url}runs/{varied_run}")
    assert browser.value(DONE) == 40
    refresh = "document.querySelector('noscript meta[http-equiv=refresh]') !== null"
    assert browser.value(refresh)


def test_a_keyboard_reaches_the_content_and_the_links(
    varied_run: str, serve_pages: Serve, browser: Browser
) -> None:
    browser.open(serve_pages().url)
    reached = []
    for _ in range(12):
        browser.press("Tab", 9)
        reached.append(browser.value("document.activeElement.textContent.trim()"))
    assert reached[0] == "Skip to content"
    assert {"Runs", "Workers", "Filter", varied_run} <= set(reached)
