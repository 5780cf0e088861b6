"""The reference pages say what the code says, about everything there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import dataworks_tasks
import producer
from dataworks_tasks import BaseDatabaseClient, BaseDataGenerator, BaseMigrationStrategy, errors
from dataworks_tasks.generate.custom import factory as generators
from dataworks_tasks.generate.fields.registry import column_type, column_types
from dataworks_tasks.migrate import factory as strategies
from producer.cli import COMMANDS
from tests.unit.docs.pages import PAGES
from tests.unit.docs.reference_tables import (
    DOCS,
    commands,
    marked_tables,
    tables,
    with_current_tables,
)

ROOT = DOCS.parent
REWRITE = "run: python -m tests.unit.docs.reference_tables"


@pytest.mark.parametrize("name", ["commands", "settings", "json"])
def test_the_tables_are_those_of_the_code(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text()
    assert page == with_current_tables(page), REWRITE


def test_every_command_and_every_setting_has_its_table() -> None:
    pages = [(DOCS / f"{name}.md").read_text() for name in ("commands", "settings", "json")]
    assert sorted(name for page in pages for name in marked_tables(page)) == sorted(tables())


def test_every_flag_has_its_help() -> None:
    missing = [
        line
        for table in tables().values()
        for line in table.splitlines()
        if re.fullmatch(r"\| `.*` \|\s*\|", line)
    ]
    assert not missing


def test_help_texts_have_words_for_values_and_ranges() -> None:
    """``[x>0]``, ``0<=x<=65535`` and ``INTEGER`` are click's, and no newcomer's."""
    raw = re.compile(
        r"\bx\s*[<>]|[<>]=|\b(?:INTEGER|FLOAT|TEXT|PATH|FILENAME|BOOLEAN) ?(?:RANGE)?\b"
    )
    found = [
        (name, line)
        for name, command in commands()
        for line in command.get_help(click.Context(command, info_name=name)).splitlines()
        if raw.search(line)
    ]
    assert not found


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


def test_every_template_type_is_described() -> None:
    page = (DOCS / "templates.md").read_text().lower()
    assert [name for name in column_types() if f"`{name}`" not in page] == []


def test_every_class_of_the_python_api_is_described() -> None:
    pages = "".join((DOCS / f"{name}.md").read_text() for name in ("python-api", "monitoring"))
    names = {*dataworks_tasks.__all__, *producer.__all__} - {"__version__", "app"}
    assert [name for name in sorted(names) if f"`{name}" not in pages] == []


def test_every_way_to_extend_is_described() -> None:
    page = (DOCS / "extending.md").read_text()
    groups = [generators.ENTRY_POINTS, strategies.ENTRY_POINTS]
    bases = [BaseDataGenerator, BaseMigrationStrategy, BaseDatabaseClient]
    names = [*groups, *(base.__name__ for base in bases), column_type.__name__, "FRAMEWORK_PLUGINS"]
    assert [name for name in names if name not in page] == []


def test_the_index_leads_to_every_page() -> None:
    index = (DOCS / "index.md").read_text()
    missing = [
        path.name
        for path in DOCS.rglob("*.md")
        if path.name != "index.md"
        and not path.match("decisions/0*")
        and f"]({path.relative_to(DOCS)})" not in index
    ]
    assert not missing


def test_the_list_of_decisions_leads_to_every_decision() -> None:
    index = (DOCS / "decisions/README.md").read_text()
    missing = [path.name for path in DOCS.glob("decisions/0*.md") if f"]({path.name})" not in index]
    assert not missing


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_between_pages_leads_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text())
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not missing


def test_every_page_and_file_that_the_code_cites_is_there() -> None:
    folders = "docs|reference|tests|dataworks_tasks|producer"
    cited = re.compile(rf"\b(?:{folders})/[\w/.-]+\.(?:md|py|lua|json)\b")
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for package in ("dataworks_tasks", "producer")
        for path in (ROOT / package).rglob("*.py")
        for name in cited.findall(path.read_text())
        if not (ROOT / name).is_file()
    ]
    assert missing == []


def test_every_file_that_the_pages_name_is_there() -> None:
    named = re.compile(r"`((?:dataworks_tasks|producer|tests)/[\w/.-]+)`")
    missing = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
        for name in named.findall(page.read_text())
        if not (ROOT / name).exists() and "NAME" not in name
    ]
    assert missing == []
