"""What a change reader takes out of events: the same for any order and number of fields."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import bson
import pytest
from bson import DBRef, Int64, ObjectId
from bson.decimal128 import Decimal128
from bson.raw_bson import RawBSONDocument

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


class BatchStream:
    """A driver's stream: hands out one batch, and has its last position at the end of it."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        documents = [RawBSONDocument(bson.encode(each)) for each in events]
        self._cursor = SimpleNamespace(_data=deque(documents))
        self.handed_out = 0
        self.resume_token: Any = None

    def try_next(self) -> RawBSONDocument | None:
        if not self._cursor._data:
            return None
        self.handed_out += 1
        document = self._cursor._data.popleft()
        self.resume_token = document["_id"]
        return document  # type: ignore[no-any-return]


def reading(events: list[dict[str, Any]]) -> tuple[ChangeReader, BatchStream]:
    found, stream = reader(), BatchStream(events)
    found._stream = stream  # type: ignore[assignment]
    return found, stream


def numbered(name: str, key: Any, number: int, operation: str = "update") -> dict[str, Any]:
    return event(name, key, operation) | {"_id": {"_data": f"82{number:016x}"}}


def test_the_driver_hands_out_only_the_ends_of_a_batch() -> None:
    events = [numbered("orders", n, n) for n in range(100)]
    found, stream = reading(events)
    captured = found.read(1000, 60.0)
    assert (captured.events, len(captured.keys), stream.handed_out) == (100, 100, 2)
    assert captured.is_idle
    assert captured.token == bson.encode(events[-1]["_id"])


@pytest.mark.parametrize("place", [0, 1, 50, 98, 99])
def test_the_position_after_a_drop_within_a_batch_is_that_of_the_drop(place: int) -> None:
    events = [numbered("orders", n, n) for n in range(100)]
    events[place] = numbered("orders", place, place, "drop")
    found, _ = reading(events)
    captured = found.read(1000, 60.0)
    assert captured.ddl is not None
    assert (captured.events, captured.token) == (place + 1, bson.encode(events[place]["_id"]))
    rest = found.read(1000, 60.0)
    assert (rest.ddl, rest.events, rest.is_idle) == (None, 99 - place, True)
    assert rest.token == bson.encode(events[-1]["_id"])


@pytest.mark.parametrize("count", [1, 2, 100])
def test_the_position_is_never_older_than_an_event_that_was_taken(count: int) -> None:
    """Reads of the source are bounded by it."""
    events = [numbered("orders", n, n) for n in range(count)]
    found, _ = reading(events)
    captured = found.read(1, 0.0)
    assert len(captured.keys) == count
    assert captured.token == bson.encode(events[-1]["_id"])
