"""What an index holds of documents, counted from a few of them."""

from __future__ import annotations

from typing import Any

import pytest
from bson import encode

from dataworks_tasks.documents.index_entries import entries_per_document

DOCUMENT = {
    "_id": 1,
    "n": 5,
    "name": "abcdef",
    "tags": ["one", "two", "three"],
    "items": [{"sku": 1, "sizes": [1, 2]}, {"sku": 2, "sizes": [3]}],
    "deep": {"a": {"b": 1.5}},
    "text": "x" * 70,
}
STRING = 5
"""Bytes that a string has besides its text."""


@pytest.mark.parametrize(
    ("key", "entries", "size"),
    [
        ({"n": 1}, 1, 4),
        ({"name": 1}, 1, 6 + STRING),
        ({"tags": 1}, 3, 11 + 3 * STRING),
        ({"items.sku": 1}, 2, 8),
        ({"items.sizes": 1}, 3, 12),
        ({"deep.a.b": -1}, 1, 8),
        ({"n": 1, "tags": 1}, 3, 3 * 4 + 11 + 3 * STRING),
        ({"tags.1": 1}, 1, 3 + STRING),
        ({"name": "hashed"}, 1, 8),
        ({"text": "text"}, 10, 70),
        ({"missing": 1}, 1, 0),
        ({"deep.missing.b": 1}, 1, 0),
    ],
)
def test_entries_of_a_document(key: dict[str, Any], entries: float, size: float) -> None:
    found = entries_per_document({"name": "i", "key": key}, [encode(DOCUMENT)])
    assert found.entries == entries
    assert found.key_bytes == pytest.approx(size)


def test_it_is_the_average_of_the_sample() -> None:
    sample = [encode({"a": [1, 2, 3]}), encode({"a": 4}), encode({})]
    index = {"name": "i", "key": {"a": 1}}
    assert entries_per_document(index, sample).entries == pytest.approx(5 / 3)
    assert entries_per_document({**index, "sparse": True}, sample).entries == pytest.approx(4 / 3)
    wildcard = {"name": "i", "key": {"$**": 1}}
    assert entries_per_document(wildcard, [encode(DOCUMENT)]).entries == 13
    assert entries_per_document(index, []).entries == 1
