"""Exactly the documents with an empty timestamp at the top are found."""

from __future__ import annotations

from typing import Any

from bson import Timestamp, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.migrate.zero_timestamps import with_empty_timestamps

EMPTY = Timestamp(0, 0)
names = st.sampled_from(["", "a", "\x11", "a\x11b", "_id", "longer name"])
values = st.sampled_from(
    [EMPTY, Timestamp(0, 1), 0.0, 0, bytes(40), b"\x11", "\x11", {"a": EMPTY}, [EMPTY], None]
)
documents = st.dictionaries(names, values, max_size=4)


@given(batch=st.lists(documents, max_size=8))
@settings(deadline=None)
def test_they_are_found(batch: list[dict[str, Any]]) -> None:
    expected = [
        position
        for position, document in enumerate(batch)
        if any(value == EMPTY and name != "_id" for name, value in document.items())
    ]
    assert with_empty_timestamps(EncodedBatch.of(map(encode, batch))) == expected
