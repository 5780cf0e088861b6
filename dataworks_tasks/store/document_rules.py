"""Find the documents that a dialect always refuses, before they are sent, without decoding most."""

from __future__ import annotations

import bson
import numpy as np
from bson.json_util import RELAXED_JSON_OPTIONS, dumps
from numpy.typing import NDArray

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import TOLERANT, find_element
from dataworks_tasks.store.capabilities import Capabilities
from dataworks_tasks.store.shard_key import value_at

_LARGEST_JSON_FACTOR = 6
"""JSON is at most about this many times as long as BSON (a control character takes six): only
documents that could be too large are decoded and measured."""
_TYPES_OF_ANY_LENGTH = np.array([0x02, 0x03, 0x05], dtype=np.uint8)  # string, document, binary
_ID_NAME = np.frombuffer(b"_id\0", dtype=np.uint8)
_VALUE_AT = 9  # after length, type and the name "_id"
_STRING, _BINARY = 0x02, 0x05


def refused_documents(
    batch: EncodedBatch, capabilities: Capabilities, shard_key: str | None
) -> dict[int, str]:
    """Return the positions of documents that the server would refuse, with the reasons.

    If the dialect has no such rules, this costs nothing per document.
    """
    refused: dict[int, str] = {}
    if shard_key is not None and shard_key != "_id":
        refused |= _without_shard_key(batch, shard_key)
    if capabilities.max_id_bytes is not None:
        refused |= _long_ids(batch, capabilities.max_id_bytes)
    if capabilities.max_document_json_bytes is not None:
        refused |= _long_json(batch, capabilities.max_document_json_bytes)
    if batch.size_bytes > capabilities.max_document_bytes:
        refused |= _long_bson(batch, capabilities.max_document_bytes)
    return refused


def _without_shard_key(batch: EncodedBatch, path: str) -> dict[int, str]:
    reason = f"the document has no {path}, which is the collection's shard key"
    return {
        position: reason
        for position, document in enumerate(batch.documents())
        if value_at(document, path) is None
    }


def _long_bson(batch: EncodedBatch, most: int) -> dict[int, str]:
    sizes = _sizes(batch)
    return {
        position: f"the document has {int(sizes[position]):,} bytes; the server accepts {most:,}"
        for position in np.flatnonzero(sizes > most).tolist()
    }


def _long_json(batch: EncodedBatch, most: int) -> dict[int, str]:
    refused: dict[int, str] = {}
    for position in np.flatnonzero(_sizes(batch) * _LARGEST_JSON_FACTOR > most).tolist():
        size = json_bytes(batch.document(position))
        if size > most:
            refused[position] = (
                f"the document has {size:,} bytes as JSON; the server accepts {most:,}"
            )
    return refused


def _long_ids(batch: EncodedBatch, most: int) -> dict[int, str]:
    refused: dict[int, str] = {}
    for position in _with_id_of_any_length(batch, most).tolist():
        size = _id_bytes(batch.document(position))
        if size > most:
            refused[position] = f"its _id has {size:,} bytes; the server accepts {most:,}"
    return refused


def _with_id_of_any_length(batch: EncodedBatch, most: int) -> NDArray[np.intp]:
    """Return documents large enough for a long ``_id`` that do not begin with a short one."""
    long = np.flatnonzero(_sizes(batch) > most)
    if not len(long):
        return long
    data = np.frombuffer(batch.data, dtype=np.uint8)
    starts = batch.offsets[:-1][long]
    named = np.all(data[starts[:, None] + np.arange(5, 9)] == _ID_NAME, axis=1)
    fixed = named & ~np.isin(data[starts + 4], _TYPES_OF_ANY_LENGTH)
    lengths = data[starts[:, None] + np.arange(_VALUE_AT, _VALUE_AT + 4)].astype(np.int64)
    short = named & (lengths @ np.array([1, 1 << 8, 1 << 16, 1 << 24]) <= most)
    unknown: NDArray[np.intp] = long[~(fixed | short)]
    return unknown


def _id_bytes(document: bytes) -> int:
    """Return the size of an ``_id``'s value, without length prefixes and terminators."""
    id_ = find_element(document, b"_id")
    if id_ is None:
        return 0
    around = {_STRING: 5, _BINARY: 5}.get(id_.type, 0)
    return len(id_.value) - around


def json_bytes(document: bytes) -> int:
    """Return the size as relaxed Extended JSON; Cosmos DB does not document how it measures."""
    text = dumps(
        bson.decode(document, TOLERANT), json_options=RELAXED_JSON_OPTIONS, separators=(",", ":")
    )
    return len(text.encode("utf-8", "surrogatepass"))


def _sizes(batch: EncodedBatch) -> NDArray[np.int64]:
    sizes: NDArray[np.int64] = np.diff(batch.offsets)
    return sizes
