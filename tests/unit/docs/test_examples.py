"""Every example of the pages runs, or says why it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.docs.pages import NOT_RUN, PAGES, RUN, WITH_SERVICES, examples, run_examples

every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


@every_page
def test_every_example_is_run_or_says_why_not(path: Path) -> None:
    for example in examples(path):
        mark = example.mark or ""
        known = mark in {RUN, WITH_SERVICES} or (len(mark) > len(NOT_RUN) and mark[:9] == NOT_RUN)
        assert known, f"{example.page}:{example.line} has no mark such as <!-- {RUN} -->"


def test_a_wrong_output_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- run -->\n```console\n$ echo one two\none ...\n$ echo three\nfour\n```\n")
    with pytest.raises(AssertionError, match="echo three"):
        run_examples(page, RUN, tmp_path, {})


def test_a_command_that_fails_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- run -->\n```bash\ntrue\nfalse | cat\n```\n")
    with pytest.raises(AssertionError, match="false"):
        run_examples(page, RUN, tmp_path, {})
