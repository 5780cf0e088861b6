"""Documents that a dialect refuses are found without sending them."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson import Binary, Int64, ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.settings.database import DatabaseType
from dataworks_tasks.store.capabilities import DIALECTS, Capabilities
from dataworks_tasks.store.document_rules import refused_documents

COSMOS = DIALECTS[DatabaseType.COSMOS_DB]
PLAIN = DIALECTS[DatabaseType.MONGODB]


def batch(*documents: dict[str, Any]) -> EncodedBatch:
    return EncodedBatch.of(map(bson.encode, documents))


@pytest.mark.parametrize(
    ("id_", "refused"),
    [
        ("x" * 1023, False),
        ("x" * 1024, True),
        ("é" * 512, True),
        (Binary(b"x" * 1023), False),
        (Binary(b"x" * 1024), True),
        ({"key": "x" * 1100}, True),
        ({"key": "x" * 900}, False),
        (ObjectId(), False),
        (Int64(2**62), False),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_long_ids(id_: Any, refused: bool, first: bool) -> None:
    pad = {"pad": "x" * 2000}
    document = {"_id": id_, **pad} if first else {**pad, "_id": id_}
    found = refused_documents(batch({"_id": 1, **pad}, document), COSMOS, None)
    assert set(found) == ({1} if refused else set())


ids = st.one_of(
    st.text(max_size=1200), st.binary(max_size=1200), st.integers(-9, 9), st.none(), st.booleans()
)


@settings(max_examples=40)
@given(st.lists(st.tuples(ids, st.integers(0, 2500)), min_size=1, max_size=20))
def test_long_ids_are_those_that_a_slow_look_finds(rows: list[tuple[Any, int]]) -> None:
    documents = [{"_id": id_, "pad": "x" * size} for id_, size in rows]
    found = refused_documents(batch(*documents), COSMOS, None)

    def size(id_: Any) -> int:
        data = id_.encode() if isinstance(id_, str) else id_
        return len(data) if isinstance(data, bytes) else 0

    assert set(found) == {n for n, (id_, _) in enumerate(rows) if size(id_) > 1023}


def test_a_document_is_measured_as_json() -> None:
    short = {"_id": 1, "v": "x" * 1_900_000}
    escaped = {"_id": 2, "v": "\x01" * 400_000}
    found = refused_documents(batch(short, escaped), COSMOS, None)
    assert set(found) == {1}
    assert "as JSON" in found[1]


def test_the_shard_key_may_be_inside_but_not_in_an_array() -> None:
    documents: list[dict[str, Any]] = [
        {"a": {"b": 1}},
        {"a": {"b": None}},
        {"a": [{"b": 1}]},
        {"a": 1},
        {"b": 1},
    ]
    assert set(refused_documents(batch(*documents), COSMOS, "a.b")) == {2, 3, 4}
    assert refused_documents(batch(*documents), COSMOS, "_id") == {}


def test_plain_mongodb_looks_at_no_document() -> None:
    broken = EncodedBatch.of([b"not bson at all"] * 3)
    assert refused_documents(broken, PLAIN, None) == {}


def test_only_what_is_over_the_bson_limit_is_refused() -> None:
    capabilities = Capabilities(max_document_bytes=100)
    found = refused_documents(batch({"v": "x" * 20}, {"v": "x" * 200}), capabilities, None)
    assert set(found) == {1}
