"""A user's own generators, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bson
import pytest

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import SettingsError, UnknownName
from dataworks_tasks.generate.custom.base import BaseDataGenerator, GeneratorType
from dataworks_tasks.generate.custom.factory import GeneratorFactory

PLUGIN = """
from dataworks_tasks.generate.custom.base import BaseDataGenerator, GeneratorType

class MyGenerator(BaseDataGenerator):
    def __init__(self):
        super().__init__(GeneratorType.CUSTOM)

    def generate_document(self, document_id=None):
        return {"number": document_id, "name": self.fake.name(), "points": self.random.gauss(0, 1)}
"""


class UserProfileGenerator(BaseDataGenerator):
    def __init__(self) -> None:
        super().__init__(GeneratorType.CUSTOM)

    def generate_document(self, document_id: int | None = None) -> Mapping[str, Any]:
        choice = self.random.choice(["a", "b"])
        return {"_id": document_id, "name": self.fake.name(), "score": self.random.random(),
                "sample": self.random.sample(range(100), 3), "choice": choice,
                "gauss": self.random.gauss(0, 1)}  # fmt: skip


class ColumnGenerator(UserProfileGenerator):
    def generate_batch(self, start: int, stop: int) -> EncodedBatch:
        return EncodedBatch.of(
            bson.encode({"_id": index, "seed": self.seed}) for index in range(start, stop)
        )


def factory(*generators: BaseDataGenerator) -> GeneratorFactory:
    made = GeneratorFactory()
    for generator in generators:
        made.register(generator)
    return made


def test_documents_do_not_depend_on_the_batching() -> None:
    source = factory(UserProfileGenerator()).create("user_profile_generator", 3)
    whole = source.generate(0, 30)
    assert source.generate(10, 20).data == whole.slice(10, 20).data
    other = factory(UserProfileGenerator()).create("user_profile_generator", 4)
    assert other.generate(0, 30).data != whole.data


def test_a_vectorized_generator_makes_its_own_batch() -> None:
    source = factory(ColumnGenerator()).create("column_generator", 9)
    documents = bson.decode_all(source.generate(5, 7).data)
    assert documents == [{"_id": 5, "seed": 9}, {"_id": 6, "seed": 9}]


def test_a_plugin_file_is_loaded(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    made = GeneratorFactory([str(plugin)])
    assert made.names() == ("my_generator",)
    documents = bson.decode_all(made.create("my_generator", 1).generate(0, 3).data)
    assert [document["number"] for document in documents] == [0, 1, 2]
    assert [next(iter(document)) for document in documents] == ["_id"] * 3
    assert documents[0]["name"] != documents[1]["name"]


def test_what_cannot_be_loaded_or_found_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no_such_module"):
        GeneratorFactory(["no_such_module"])
    with pytest.raises(SettingsError, match=r"gone\.py"):
        GeneratorFactory([str(tmp_path / "gone.py")])
    assert GeneratorFactory(["json"]).names() == (), "a plugin may bring strategies only"
    with pytest.raises(UnknownName, match="user_profile_generator"):
        factory(UserProfileGenerator()).create("user_profile", 1)
    with pytest.raises(SettingsError, match="two generators"):
        factory(UserProfileGenerator(), UserProfileGenerator())
