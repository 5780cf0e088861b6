"""Elements are found in documents without decoding them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import bson
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from dataworks_tasks.documents.raw_bson import (
    element_bytes,
    elements,
    elements_as,
    find_element,
    id_condition,
    id_element,
    id_filter,
    ids_filter,
    key_condition,
    keys_filter,
    shown_id,
)

VALUES = {
    "double": 1.5,
    "string": "héllo",
    "document": {"a": {"b": []}},
    "array": [1, "x", None],
    "binary": Binary(b"\x00\x01", 5),
    "oid": ObjectId(),
    "bool": True,
    "date": datetime(2026, 1, 1, tzinfo=UTC),
    "null": None,
    "regex": Regex("a.*b", re.IGNORECASE),
    "code": Code("return 1"),
    "scoped": Code("return x", {"x": 1}),
    "int": 7,
    "timestamp": Timestamp(1, 2),
    "long": Int64(2**40),
    "decimal": Decimal128("1.10"),
    "max": MaxKey(),
    "min": MinKey(),
    "dbref": bson.DBRef("c", 1),
}
NOT_PLAIN = {"array", "regex", "dbref"}
"""As a condition of a query these ask for something else than the value."""


def test_elements_cover_the_complete_document() -> None:
    document = bson.encode(VALUES)
    found = list(elements(document))
    assert [element.name.decode() for element in found] == list(VALUES)
    size = sum(2 + len(element.name) + len(element.value) for element in found)
    assert size == len(document) - 5


@pytest.mark.parametrize("name", VALUES)
def test_a_filter_carries_the_value_unchanged(name: str) -> None:
    document = bson.encode({"_id": VALUES[name], "x": 1})
    id_ = find_element(document, b"_id")
    assert id_ is not None
    is_plain = name not in NOT_PLAIN
    same = bson.encode({"_id": VALUES[name] if is_plain else {"$eq": VALUES[name]}})
    assert id_filter(id_).raw == same
    assert ids_filter([id_, id_]).raw == bson.encode({"_id": {"$in": [VALUES[name]] * 2}})


@pytest.mark.parametrize("value", [*VALUES.values(), {"$a": 1}, {"a": "$b"}])
def test_the_bytes_of_a_field_serve_as_the_field_does(value: object) -> None:
    id_ = find_element(bson.encode({"_id": value}), b"_id")
    assert id_ is not None
    key = element_bytes(id_)
    assert id_element(key) == id_
    assert key_condition(key) == id_condition(id_)
    assert keys_filter([key] * 12).raw == ids_filter([id_] * 12).raw


def test_elements_under_another_name() -> None:
    document = bson.encode(VALUES)
    expected = [element._replace(name=b"_id") for element in elements(document)]
    assert elements_as(b"_id", document) == expected


def test_pointers_and_symbols_have_a_length() -> None:
    pointer = b"\x0cp\x00\x02\x00\x00\x00c\x00" + bytes(12)
    symbol = b"\x0es\x00\x03\x00\x00\x00ab\x00"
    body = pointer + symbol + b"\x06u\x00"
    document = (len(body) + 5).to_bytes(4, "little") + body + b"\x00"
    assert [element.name for element in elements(document)] == [b"p", b"s", b"u"]


def test_an_id_can_be_shown_whatever_it_is() -> None:
    assert shown_id(bson.encode({"_id": 3})) == "3"
    assert shown_id(bson.encode({"_id": "a"})) == '"a"'
    assert shown_id(bson.encode({"x": 1})) == "(none)"
    beyond = b"\x09_id\x00" + (2**62).to_bytes(8, "little")
    document = (len(beyond) + 5).to_bytes(4, "little") + beyond + b"\x00"
    assert "date" in shown_id(document)
