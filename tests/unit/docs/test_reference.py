"""The reference pages say what the code says, about everything there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataworks_tasks import errors
from producer.cli import COMMANDS
from tests.unit.docs.reference_tables import DOCS, marked_tables, tables, written_anew

REWRITE = "run: python -m tests.unit.docs.reference_tables"


@pytest.mark.parametrize("name", ["commands", "settings"])
def test_the_tables_are_those_of_the_code(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text()
    assert page == written_anew(page), REWRITE


def test_every_command_and_every_setting_has_its_table() -> None:
    pages = [(DOCS / f"{name}.md").read_text() for name in ("commands", "settings")]
    assert sorted(name for page in pages for name in marked_tables(page)) == sorted(tables())


def test_every_flag_has_its_help() -> None:
    missing = [
        line
        for table in tables().values()
        for line in table.splitlines()
        if re.fullmatch(r"\| `.*` \|\s*\|", line)
    ]
    assert not missing


def test_every_command_is_in_the_readme() -> None:
    readme = (DOCS.parent / "README.md").read_text()
    missing = [name for name in COMMANDS if f"`{name}" not in readme]
    assert not missing


def test_every_error_is_explained() -> None:
    page = (DOCS / "errors.md").read_text()
    missing = [name for name in _error_names() if f"`{name}" not in page]
    assert not missing


def _error_names() -> Iterator[str]:
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.DataWorksError):
            yield name


def test_the_index_leads_to_every_page() -> None:
    index = (DOCS / "index.md").read_text()
    missing = [
        path.name
        for path in DOCS.glob("*.md")
        if path.name != "index.md" and f"]({path.name})" not in index
    ]
    assert not missing


@pytest.mark.parametrize(
    "path", [*DOCS.glob("*.md"), *DOCS.parent.glob("*.md")], ids=lambda path: path.name
)
def test_every_link_between_pages_leads_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text())
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not missing
