"""Which documents of a window changed between its two reads, whatever the pages were."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataworks_tasks.sync import read_before
from dataworks_tasks.sync.read_before import ReadBefore
from dataworks_tasks.sync.wanted import KeyedPage, key_bytes

Documents = dict[int, int]


def pages(documents: Documents, size: int) -> list[bytes]:
    encoded = [bson.encode({"_id": key, "n": n}) for key, n in sorted(documents.items())]
    return [b"".join(encoded[start : start + size]) for start in range(0, len(encoded), size)]


def changed(before: list[bytes], after: list[bytes]) -> set[int]:
    read = ReadBefore()
    for data in before:
        read.keep(data, KeyedPage.parse(data))
    for data in after:
        assert read.compare(data) == KeyedPage.parse(data).keys
    return {int.from_bytes(key.value, "little") for key in read.changed()}


SOME = st.dictionaries(st.integers(0, 9), st.integers(0, 1))


@given(SOME, SOME, st.integers(1, 4), st.integers(1, 4), st.integers(0, 200))
def test_every_change_is_found_and_nothing_else(
    before: Documents, after: Documents, size: int, later: int, kept: int
) -> None:
    expected = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_before, "MOST_KEPT_BYTES", kept)
        assert changed(pages(before, size), pages(after, later)) == expected


@pytest.mark.parametrize("id_", [1, 2.5, "text", {"a": 1}, bson.ObjectId(), None, b"bytes"])
def test_a_page_has_the_keys_of_its_documents(id_: Any) -> None:
    first = bson.encode({"_id": id_, "n": 1})
    elsewhere = bson.encode({"n": 1, "_id": id_})
    page = KeyedPage.parse(first + elsewhere)
    assert page.documents == [first, elsewhere]
    assert page.keys == [key_bytes(first), key_bytes(elsewhere)]
    assert page.keys[0] == page.keys[1]
