"""When two values of definitions are the same to a server, though not to Python."""

from __future__ import annotations

from typing import Any

import pytest

from dataworks_tasks.migrate.comparable import comparable


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": [{"$ne": float("nan")}]}, {"a": [{"$ne": float("nan")}]}, True),
        ({"a": float("nan")}, {"a": "NaN"}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": [False]}, {"a": [0.0]}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
    ],
)
def test_values_are_compared_as_a_server_compares_them(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    assert (comparable(one) == comparable(other)) is same


def test_the_order_of_fields_can_be_left_out() -> None:
    one, other = ({"$and": [{"a": 1, "b": 2}]}, {"$and": [{"b": 2, "a": 1}]})
    assert comparable(one, ordered=False) == comparable(other, ordered=False)
