"""Which fields documents have, which a filter asks for, and which a mistyped path was meant for."""

from __future__ import annotations

from typing import Any

import pytest
from bson import encode

from producer.sampling.field_paths import field_paths, is_known_path, nearest_paths, query_paths

PATHS = frozenset(
    {"email", "Phone", "customer", "customer.email", "customer.name", "items", "items.owner"}
)


def test_paths_go_through_documents_and_arrays() -> None:
    document = {"a": {"b": [{"c": 1}, [{"d": 2}], 5]}, "e.f": 1, "": 3}
    assert field_paths([encode(document)]) == {"a", "a.b", "a.b.c", "a.b.d", "e.f", ""}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("emial", ["email"]),
        ("phone", ["Phone"]),
        ("CUSTOMER.email", ["customer.email", "email"]),
        ("name", ["customer.name"]),
        ("items.0.owner", ["items.owner"]),
        ("customer.emial", ["customer.email"]),
        ("xyz", []),
    ],
)
def test_the_nearest_path_is_named(typed: str, meant: list[str]) -> None:
    assert nearest_paths(typed, PATHS)[: len(meant) or 3] == meant


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ({"a": 1, "b.c": {"$gt": 5}}, ("a", "b.c")),
        ({"$or": [{"a": 1}, {"$and": [{"b": 2}, {"c": {"$exists": False}}]}]}, ("a", "b", "c")),
        ({"a": {"$elemMatch": {"b": 1, "c": {"$not": {"$gt": 1}}}}}, ("a", "a.b", "a.c")),
        ({"a": {"$elemMatch": {"$gt": 1}}}, ("a",)),
        ({"a": {"b": {"c": 1}}}, ("a",)),
        ({"$expr": {"$gt": ["$a", {"$add": ["$b.c", {"$literal": "$x"}, "$$NOW"]}]}}, ("a", "b.c")),
        ({"$expr": {"$eq": ["$$ROOT.a", 1]}}, ("a",)),
        ({"$comment": "why", "$nor": [{"a": 1}]}, ("a",)),
    ],
)
def test_the_fields_of_a_filter(query: dict[str, Any], paths: tuple[str, ...]) -> None:
    assert query_paths(encode(query)) == paths


def test_a_query_may_name_the_member_of_an_array() -> None:
    assert is_known_path(PATHS, "items.0.owner")
    assert not is_known_path(PATHS, "items.0.price")
