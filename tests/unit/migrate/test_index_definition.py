"""Which parts of an index are sent to another server, and when two indexes are the same."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Int64

from dataworks_tasks.migrate.index_definition import (
    differences,
    index_to_create,
    left_out,
    same_index,
)


def index(key: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return {"key": key or {"a": 1}, "name": "a_1", **options}


NAN = float("nan")
MEASURED = {"name": "n", "key": {"v": 1}, "v": 2}
PARTIAL = {"partialFilterExpression": {"a": {"$gt": 1}}}
OLD_KEYS = {"a": True, "b": "", "c": 0, "d": -1, "e": "2d"}


@pytest.mark.parametrize(
    ("stored", "created"),
    [
        (index(safe=True, w=1, dropDups=True, v=1, ns="d.c", background=True), index()),
        (index(backgroud=True, unique=1, sparse=0.0), index(unique=True, sparse=False)),
        (index(OLD_KEYS), index({"a": 1, "b": 1, "c": 1, "d": -1, "e": "2d"})),
        (index(**PARTIAL), index(**PARTIAL)),
        (index(originalSpec=MEASURED), index(originalSpec=MEASURED)),
    ],
)
def test_what_servers_no_longer_take_is_left_out(
    stored: dict[str, Any], created: dict[str, Any]
) -> None:
    assert index_to_create(stored, target_has_collation=False) == created


def test_what_is_left_out_is_named() -> None:
    assert left_out(index(safe=True, w=1, v=2, ns="d.c", background=True)) == ("safe", "w")
    assert left_out(index(unique=True)) == ()


def test_a_simple_index_says_so_where_it_would_inherit_a_collation() -> None:
    made = index_to_create(index(), target_has_collation=True)
    assert made["collation"] == {"locale": "simple"}
    turkish = index(collation={"locale": "tr", "strength": 2})
    assert index_to_create(turkish, target_has_collation=True) == turkish


@pytest.mark.parametrize(
    "other",
    [
        index(),
        {**index(), "name": "other"},
        index({"a": 1.0}),
        index({"a": Int64(1)}),
        index(unique=False, sparse=False, v=2, background=True),
        index(collation={"locale": "simple"}),
    ],
)
def test_the_same_index_under_any_name(other: dict[str, Any]) -> None:
    assert same_index(index(), other)
    assert same_index(other, index())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            index(partialFilterExpression={"a": NAN}),
            index(partialFilterExpression={"a": float("nan")}),
        ),
        (
            index(partialFilterExpression={"a": 1, "b": 2}),
            index(partialFilterExpression={"b": 2.0, "a": Int64(1)}),
        ),
        (index(originalSpec=MEASURED), index(originalSpec={"key": {"v": 1.0}, "name": "m"})),
    ],
)
def test_options_that_a_server_takes_for_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert same_index(one, other)


def test_a_truth_value_is_not_a_number() -> None:
    one, other = (index(partialFilterExpression={"a": value}) for value in (True, 1))
    assert differences(one, other) == ("partialFilterExpression",)


@pytest.mark.parametrize(
    ("other", "differing"),
    [
        (index({"a": -1}), ("key",)),
        (index({"a": 1, "b": 1}), ("key",)),
        (index(unique=True), ("unique",)),
        (index(hidden=True), ("hidden",)),
        (index(collation={"locale": "tr"}), ("collation",)),
        (index(expireAfterSeconds=5, sparse=True), ("expireAfterSeconds", "sparse")),
        (index(partialFilterExpression={"a": 1}), ("partialFilterExpression",)),
        (index(originalSpec=MEASURED), ("originalSpec",)),
    ],
)
def test_what_makes_another_index_is_named(
    other: dict[str, Any], differing: tuple[str, ...]
) -> None:
    assert not same_index(index(), other)
    assert differences(index(), other) == differing


def test_the_order_of_keys_counts() -> None:
    assert not same_index(index({"a": 1, "b": 1}), index({"b": 1, "a": 1}))


def test_the_version_of_a_collation_does_not_count() -> None:
    here, there = (index(collation={"locale": "tr", "version": v}) for v in ("57.1", "153.80"))
    assert same_index(here, there)
