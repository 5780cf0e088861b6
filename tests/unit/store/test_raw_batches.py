"""What a cursor's replies become."""

from __future__ import annotations

from typing import Any

from bson import Int64, encode
from hypothesis import given
from hypothesis import strategies as st

from dataworks_tasks.store.raw_batches import reply_with_stream

names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=5).filter(
    lambda name: name != "_id"
)
# Repeated, so that positions have up to three digits.
documents = st.builds(
    lambda found, times: found * times,
    st.lists(st.dictionaries(names, st.integers(0, 9)), max_size=9),
    st.sampled_from([1, 3, 15]),
)


@given(batch=st.sampled_from(["firstBatch", "nextBatch"]), found=documents)
def test_a_batch_becomes_its_documents_end_to_end(batch: str, found: list[dict[str, Any]]) -> None:
    cursor = {batch: found, "id": Int64(7), "ns": "shop.orders"}
    read = reply_with_stream(encode({"cursor": cursor, "ok": 1.0, "operationTime": 5}))
    stream = b"".join(map(encode, found))
    assert read["cursor"].pop(batch) == ([stream] if stream else [])
    assert read == {"cursor": {"id": 7, "ns": "shop.orders"}, "ok": 1.0, "operationTime": 5}


def test_an_error_is_read_as_it_is() -> None:
    error = {"ok": 0.0, "errmsg": "cursor id 5 not found", "code": 43, "codeName": "CursorNotFound"}
    assert reply_with_stream(encode(error)) == error
