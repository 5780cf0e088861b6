"""What a change reader takes out of events: the same for any order and number of fields."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bson
import pytest
from bson import DBRef, Int64, ObjectId
from bson.decimal128 import Decimal128

from dataworks_tasks.documents.raw_bson import find_element
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.sync.change_reader import CapturedChanges, ChangeReader

NAMES = ["orders", "people", "x\x03documentKey", "operationType", "ünï"]
KEYS: list[Any] = [
    1, Int64(1), 1.0, Decimal128("1"), "text", "", "\x03documentKey\0", None, True, ObjectId(),
    {"a": 1}, {}, DBRef("c", 1), b"bytes", {"_id": 5},
]  # fmt: skip


def reader() -> ChangeReader:
    pairs = tuple(
        NamespacePair(source=Namespace("shop", name), target=Namespace("copy", name))
        for name in NAMES
    )
    source: Any = SimpleNamespace()
    return ChangeReader(source, pairs, None, b"")


def event(name: str, key: Any, operation: str = "update", **more: Any) -> dict[str, Any]:
    return {
        "_id": {"_data": "82" + "0" * 16},
        "operationType": operation,
        "ns": {"db": "shop", "coll": name},
        "documentKey": {"_id": key},
        **more,
    }


def taken(events: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    found, captured = reader(), CapturedChanges()
    for each in events:
        found._take(bson.encode(each), captured)
    assert captured.events == len(events)
    pairs = [(pair, bson.encode({"_id": key})) for pair, key in _decoded(captured)]
    assert {(pair, data[4:-1]) for pair, data in pairs} == captured.keys.keys()
    return list(_decoded(captured))


def _decoded(captured: CapturedChanges) -> list[tuple[int, Any]]:
    decoded = []
    for (pair, data), element in captured.keys.items():
        document = (len(data) + 5).to_bytes(4, "little") + data + b"\0"
        assert find_element(document, b"_id") == element
        decoded.append((pair, bson.decode(document)["_id"]))
    return decoded


@pytest.mark.parametrize("times", [1, 2])
def test_every_key_is_taken_whether_or_not_its_kind_was_seen(times: int) -> None:
    every = [
        event(name, key, operation)
        for operation in ("insert", "update", "replace", "delete")
        for name in NAMES
        for key in KEYS
    ]
    assert taken(every * times) == [(NAMES.index(name), key) for name in NAMES for key in KEYS]


def test_other_collections_are_left_out() -> None:
    other = event("other", 1) | {"ns": {"db": "shop", "coll": "other"}}
    elsewhere = event("orders", 1) | {"ns": {"db": "shop2", "coll": "orders"}}
    assert taken([other, elsewhere, other, event("orders", 2)]) == [(0, 2)]


def test_fields_in_another_order_are_read_as_well() -> None:
    first = event("orders", 1)
    turned = {name: first[name] for name in ("_id", "documentKey", "ns", "operationType")}
    longer = event("orders", 2, extra=1)
    sharded = event("orders", 3) | {"documentKey": {"area": 7, "_id": 3}}
    after = event("orders", 4) | {"documentKey": {"_id": 4, "area": 7}}
    assert taken([first, turned, longer, sharded, after]) == [(0, 1), (0, 2), (0, 3), (0, 4)]


def test_a_drop_is_told_apart_from_the_changes_before_it() -> None:
    found, captured = reader(), CapturedChanges()
    found._take(bson.encode(event("orders", 1)), captured)
    drop = {key: value for key, value in event("orders", 1, "drop").items() if key != "documentKey"}
    found._take(bson.encode(drop), captured)
    assert captured.ddl is not None
    assert (captured.ddl.operation, captured.ddl.pairs) == ("drop", (0,))
