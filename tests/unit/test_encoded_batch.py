"""Encoded batches."""

from __future__ import annotations

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataworks_tasks.documents.encoded_batch import EncodedBatch

documents = st.lists(st.integers(0, 300), max_size=12).map(
    lambda sizes: [bson.encode({"n": index, "b": bytes(n)}) for index, n in enumerate(sizes)]
)


@given(documents, st.integers(1, 5), st.integers(1, 200))
def test_splitting_keeps_every_document_in_order(
    found: list[bytes], max_documents: int, max_bytes: int
) -> None:
    pieces = list(EncodedBatch.of(found).split(max_documents, max_bytes))
    assert [document for piece in pieces for document in piece.documents()] == found
    for piece in pieces:
        assert 1 <= len(piece) <= max_documents
        assert piece.size_bytes <= max_bytes or len(piece) == 1


@given(documents)
def test_parsing_finds_the_same_documents(found: list[bytes]) -> None:
    batch = EncodedBatch.parse(b"".join(found))
    assert list(batch.documents()) == found
    assert EncodedBatch.of(found).offsets.tolist() == batch.offsets.tolist()


@given(documents, documents)
def test_joining(first: list[bytes], second: list[bytes]) -> None:
    joined = EncodedBatch.join([EncodedBatch.of(first), EncodedBatch.of(second)])
    assert list(joined.documents()) == first + second


@pytest.mark.parametrize("data", [b"\x00\x00\x00\x00", bson.encode({"a": 1})[:-1]])
def test_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="BSON document"):
        EncodedBatch.parse(data)
