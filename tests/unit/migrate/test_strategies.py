"""Strategies are known by name; what a name means comes from the process' own settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bson import ObjectId, decode, encode

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import SettingsError, UnknownName, UsageError
from dataworks_tasks.migrate.base import BaseMigrationStrategy, Document
from dataworks_tasks.migrate.document_change import by_strategy
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.plugins import load_plugins

PLUGIN = """
from dataworks_tasks.migrate.base import BaseMigrationStrategy
from dataworks_tasks.migrate.factory import MigrationStrategyFactory

@MigrationStrategyFactory.register
class FromFile(BaseMigrationStrategy):
    "Comes from a file."
    name = "test-from-file"
"""


@pytest.fixture(autouse=True)
def _known_strategies() -> Iterator[None]:
    before = dict(MigrationStrategyFactory._known)
    yield
    MigrationStrategyFactory._known = before


def test_built_in_strategies_copy_raw() -> None:
    assert {"default", "date-based"} <= set(MigrationStrategyFactory.names())
    default = MigrationStrategyFactory.create("default")
    assert (default.copies_raw, default.resume_field) == (True, "_id")
    by_date = MigrationStrategyFactory.create("date-based:ordered_at")
    assert (by_date.copies_raw, by_date.resume_field) == (True, "ordered_at")
    assert MigrationStrategyFactory.create("date-based").resume_field == "created_at"


def test_an_unknown_strategy_is_suggested() -> None:
    with pytest.raises(UnknownName, match="date-based"):
        MigrationStrategyFactory.create("date_based")
    with pytest.raises(UsageError, match="does not take"):
        MigrationStrategyFactory.create("default:field")


def test_a_plugin_file_registers_its_strategy(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    load_plugins([str(plugin)])
    load_plugins([str(plugin)])
    assert MigrationStrategyFactory.describe("test-from-file") == "Comes from a file."


def test_built_in_strategies_are_described() -> None:
    for name in ("default", "date-based"):
        assert "Copies every document" in MigrationStrategyFactory.describe(name)


def test_a_strategy_without_a_docstring_has_no_description() -> None:
    strategy = type("Plain", (BaseMigrationStrategy,), {"name": "test-plain"})
    MigrationStrategyFactory.register(strategy)
    MigrationStrategyFactory.register(type("Made", (strategy,), {"name": "test-made"})())
    assert MigrationStrategyFactory.describe("test-plain") == ""
    assert MigrationStrategyFactory.describe("test-made") == ""


@pytest.mark.parametrize("name", ["no_such_module_here", "/no/such/file.py"])
def test_a_plugin_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_plugins([name])


def test_a_strategy_needs_a_name() -> None:
    with pytest.raises(SettingsError, match="name"):
        MigrationStrategyFactory.register(type("Nameless", (BaseMigrationStrategy,), {}))


class Splits(BaseMigrationStrategy):
    name = "test-splits"

    def transform_document(self, document: Document) -> list[Document]:
        del document["_id"]
        return [document, {"part": 1}, {"part": 2}]


def test_documents_without_an_id_get_one_that_never_changes() -> None:
    change = by_strategy(Splits())
    batch = EncodedBatch.of([encode({"_id": "k", "v": 1}), encode({"_id": "l", "v": 1})])
    first, second = change(batch), change(batch)
    assert first.batch.data == second.batch.data
    ids = [decode(document)["_id"] for document in first.batch.documents()]
    assert ids[0] == "k"
    assert len(set(ids)) == 6
    assert isinstance(ids[1], ObjectId)
    assert (first.produced, first.dropped) == (6, 0)
