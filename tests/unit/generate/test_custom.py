"""A user's own generators, and where they come from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import bson
import numpy as np
import pytest

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import SettingsError, UnknownName, UsageError
from dataworks_tasks.generate.custom.base import BaseDataGenerator, GeneratorType
from dataworks_tasks.generate.custom.factory import GeneratorFactory
from dataworks_tasks.generate.faulty_documents import generate_around_faults
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings import FrameworkConfig
from producer.start.run_request import GenerationRequest
from producer.start.start_generation import plan_generation

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
    assert made.describe("my_generator") == "", "not that of its base class"
    documents = bson.decode_all(made.create("my_generator", 1).generate(0, 3).data)
    assert [document["number"] for document in documents] == [0, 1, 2]
    assert [next(iter(document)) for document in documents] == ["_id"] * 3
    assert documents[0]["name"] != documents[1]["name"]


def test_a_generator_is_described_by_its_docstring(tmp_path: Path) -> None:
    text = '''
from dataworks_tasks.generate.custom.base import BaseDataGenerator

class OrderGenerator(BaseDataGenerator):
    """Makes the orders of a shop
    with their customers.

    Not a part of its description.
    """

    def generate_document(self, document_id=None):
        return {}
'''
    made = GeneratorFactory([plugin(tmp_path, "described", text)])
    assert made.describe("order_generator") == "Makes the orders of a shop with their customers."


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


def made_by(generate: Callable[..., Any], count: int = 3) -> list[dict[str, Any]]:
    generator = type("OwnGenerator", (BaseDataGenerator,), {"generate_document": generate})()
    return bson.decode_all(factory(generator).create("own_generator", 1).generate(0, count).data)


def test_values_are_converted_as_those_of_templates_are() -> None:
    values = {
        "decimal": Decimal("12.34"), "day": date(2024, 2, 29), "long": np.int64(7),
        "double": np.float32(0.5), "set": {3}, "array": np.arange(2), "truth": np.bool_(True),
        "id": UUID(int=5), "kind": GeneratorType.SHOP, "inner": [{1: Decimal(1)}],
    }  # fmt: skip
    (document,) = made_by(lambda self, index: values, 1)
    del document["_id"]
    assert document == {
        "decimal": bson.Decimal128("12.34"), "day": datetime(2024, 2, 29), "long": 7,
        "double": 0.5, "set": [3], "array": [0, 1], "truth": True,
        "id": bson.Binary.from_uuid(UUID(int=5)), "kind": "shop",
        "inner": [{"1": bson.Decimal128("1")}],
    }  # fmt: skip


def test_sets_have_the_same_order_in_every_process() -> None:
    code = (
        "from dataworks_tasks.generate.fields.storable import storable\n"
        "print(storable({'tags': {f'tag {n}' for n in range(9)}, 'pairs': {('b', 1), ('a', 2)}}))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert "'tag 0', 'tag 1'" in printed.pop().decode()


CLOCK = "import time\nvalue = lambda self, index: {'t': time.time_ns()}"
UNSEEDED = "import random\nvalue = lambda self, index: {'r': random.random()}"
STATE = "seen = []\nvalue = lambda self, index: (seen.append(1), {'n': len(seen)})[1]"
NOTHING = "value = lambda self, index: None"
TICKS = "from datetime import datetime\nvalue = lambda self, index: {'t': datetime.now()}"
EXITS = "value = lambda self, index: exit(3)"
RAISES = "value = lambda self, index: {'x': 1 / 0}"
UNKNOWN = "value = lambda self, index: {'x': object()}"
LARGE = "value = lambda self, index: {'x': 'a' * 17_000_000}"
LISTED = "value = lambda self, index: {'_id': [index]}"
PATTERN = "import re\nvalue = lambda self, index: {'_id': re.compile(str(index))}"
REPEATED = "value = lambda self, index: {'_id': index % 7}"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (CLOCK, "reads a clock"),
        (TICKS, "reads a clock"),
        (EXITS, "document 0 of own cannot be generated: RuntimeError: generate_document ended"),
        (UNSEEDED, "random source of its own"),
        (STATE, "keeps state"),
        (
            NOTHING,
            "document 0 of own cannot be generated: TypeError: generate_document returned None",
        ),
        (RAISES, "document 0 of own cannot be generated: ZeroDivisionError"),
        (UNKNOWN, "document 0 of own cannot be generated: InvalidDocument"),
        (LARGE, "bytes, and MongoDB stores no more"),
        (LISTED, "document 0 of own has an _id that is an array"),
        (PATTERN, "document 0 of own has an _id that is a regular expression"),
        (REPEATED, "documents 0 and 7 of own have the same _id"),
    ],
)
def test_documents_that_cannot_be_used_are_refused_in_one_line(code: str, said: str) -> None:
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the test's own text
    generator = type("Own", (BaseDataGenerator,), {"generate_document": names["value"]})()
    request = GenerationRequest("own", total=20, seed=1)
    with pytest.raises(UsageError) as caught:
        plan_generation(request, FrameworkConfig(), registered=[generator])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_repeated_ids_of_a_range_are_failures() -> None:
    source = factory(
        type("Own", (BaseDataGenerator,), {"generate_document": lambda self, i: {"_id": i // 2}})()
    ).create("own", 1)
    made = generate_around_faults(source, BatchRange(10, 16), Namespace("d", "c"))
    assert [document["_id"] for document in bson.decode_all(made.batch.data)] == [5, 6, 7]
    assert [failure.document_id for failure in made.failures] == ["#11", "#13", "#15"]
    assert "the same _id as document #10" in made.failures[0].reason


def plugin(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.py"
    path.write_text("from dataworks_tasks import BaseDataGenerator\n" + text)
    return str(path)


OWN = """
class Orders(BaseDataGenerator):
    def __init__(self, region{default}):
        super().__init__(name="orders_" + region)

    def generate_document(self, document_id=None):
        return {{"n": document_id}}
"""


def test_generators_with_arguments_are_made_in_their_module(tmp_path: Path) -> None:
    with_instances = OWN.format(default="") + "north = Orders('north')\nsouth = Orders('south')\n"
    made = GeneratorFactory([plugin(tmp_path, "instances", with_instances)])
    assert made.names() == ("orders_north", "orders_south")
    default = GeneratorFactory([plugin(tmp_path, "default", OWN.format(default="='any'"))])
    assert default.names() == ("orders_any",)
    with pytest.raises(SettingsError, match=r"Orders .* needs arguments: region"):
        GeneratorFactory([plugin(tmp_path, "needs", OWN.format(default=""))])


def test_classes_that_a_plugin_imports_count(tmp_path: Path, monkeypatch: Any) -> None:
    plugin(tmp_path, "company_generators", OWN.format(default="='any'"))
    monkeypatch.syspath_prepend(str(tmp_path))
    exported = plugin(tmp_path, "exported", "from company_generators import Orders\n")
    assert GeneratorFactory([exported]).names() == ("orders_any",)
    assert GeneratorFactory([exported, "company_generators"]).names() == ("orders_any",)
    text = "from company_generators import Orders\nclass Mine(Orders):\n    pass\n"
    subclass = plugin(tmp_path, "subclass", text)
    assert GeneratorFactory([subclass]).names() == ("orders_any",)


def test_a_plugin_that_cannot_be_imported_is_one_line(tmp_path: Path) -> None:
    for text in ("nonsense", "1 / 0", "class A(BaseDataGenerator:\n"):
        with pytest.raises(SettingsError, match="cannot be loaded"):
            GeneratorFactory([plugin(tmp_path, f"bad{abs(hash(text))}", text)])
