"""The pages are wrapped like the code, so that a diff shows the sentence that changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.docs.pages import PAGES, ROOT

WIDTH = 100

UNBREAKABLE = re.compile(r"`[^`]*`|!\[[^\]]*\]\([^)]*\)")
"""Code and pictures, which stay on one line."""


def long_prose(page: Path) -> Iterator[str]:
    """Yield ``number: line`` for every line of prose wider than ``WIDTH``.

    Code blocks, tables, comments and lines that cannot be broken, such as one long address, are
    not prose.
    """
    in_code = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
            continue
        breakable = " " in UNBREAKABLE.sub("", line).strip().removeprefix("- ").strip()
        if len(line) > WIDTH and breakable and not in_code and not line.startswith(("|", "<!--")):
            yield f"{number}: {line}"


# The changelog merges as a union of both sides' lines, which rewrapped lines would break.
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name != "CHANGELOG.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_lines_of_prose_are_wrapped(page: Path) -> None:
    assert not list(long_prose(page)), f"wrap these lines at {WIDTH} columns"


def test_a_long_line_of_prose_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("\n".join(["word " * 21, f"| {'cell ' * 30} |", "```", "x " * 60, "```"]))

    assert [line.partition(":")[0] for line in long_prose(page)] == ["1"]
