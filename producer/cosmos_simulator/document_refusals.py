"""What makes Cosmos DB refuse one document or statement of a write: size, ``_id``, shard key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import bson
import numpy as np
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from producer.cosmos_simulator.responses import (
    NO_SHARD_KEY_IN_DOCUMENT,
    NO_SHARD_KEY_IN_QUERY,
    TOO_LARGE_TEXT,
    write_error,
)

LARGEST_ID_BYTES = 1023
_LARGEST_JSON_FACTOR = 6
"""JSON of a document is at most about this many times its BSON (control characters escaped as six
characters); only documents that could be too large are decoded and measured."""

_OBJECT_ID_FIRST = b"\x07_id\0"
_ANY_DATE: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
Errors = dict[int, dict[str, Any]]


def document_errors(batch: EncodedBatch, shard_key: str | None, max_json_bytes: int) -> Errors:
    """Return the documents of an insert that are refused, by index."""
    errors: Errors = {}
    sizes = np.diff(batch.offsets)
    for index in np.flatnonzero(sizes > LARGEST_ID_BYTES).tolist():
        document = batch.document(index)
        if document[4:9] != _OBJECT_ID_FIRST and _id_bytes(document) > LARGEST_ID_BYTES:
            errors[index] = write_error(
                index, 2, f"The _id of a document must not be over {LARGEST_ID_BYTES} bytes"
            )
    for index in np.flatnonzero(sizes * _LARGEST_JSON_FACTOR > max_json_bytes).tolist():
        if json_size(batch.document(index)) > max_json_bytes:
            errors[index] = write_error(index, 16, TOO_LARGE_TEXT)
    if shard_key:
        for index, document in enumerate(batch.documents()):
            if not has_path(RawBSONDocument(document), shard_key):
                errors[index] = write_error(index, 61, NO_SHARD_KEY_IN_DOCUMENT)
    return errors


def statement_errors(batch: EncodedBatch, shard_key: str | None, max_json_bytes: int) -> Errors:
    """Return the statements of an update or delete that are refused, by index."""
    errors: Errors = {}
    for index, data in enumerate(batch.documents()):
        statement = RawBSONDocument(data)
        if shard_key and not targets_one_shard(statement["q"], shard_key):
            errors[index] = write_error(index, 61, NO_SHARD_KEY_IN_QUERY)
        elif len(data) * _LARGEST_JSON_FACTOR > max_json_bytes:
            update = statement.get("u")
            too_large = is_replacement(update) and json_size(bytes(update.raw)) > max_json_bytes
            if too_large:
                errors[index] = write_error(index, 16, TOO_LARGE_TEXT)
    return errors


def is_replacement(update: Any) -> TypeGuard[RawBSONDocument]:
    """Return whether an update's ``u`` is a complete document, not operators or a pipeline."""
    return isinstance(update, RawBSONDocument) and not next(iter(update), "").startswith("$")


def json_size(document: bytes) -> int:
    """Return the size as relaxed Extended JSON; how the service measures is not known."""
    decoded = bson.decode(document, _ANY_DATE)
    text = json_util.dumps(
        decoded, json_options=json_util.RELAXED_JSON_OPTIONS, separators=(",", ":")
    )
    return len(text.encode("utf-8", "surrogatepass"))


def has_path(document: Mapping[str, Any], path: str) -> bool:
    """Return whether a dotted path leads to a value; not through arrays."""
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return True


def targets_one_shard(query: Mapping[str, Any], path: str) -> bool:
    """Return whether a query has an equality on the shard key, at the top or in an ``$and``."""
    if path in query:
        value = query[path]
        operators = isinstance(value, Mapping) and next(iter(value), "").startswith("$")
        return not operators or "$eq" in value
    if "." in path and has_path(query, path):
        return True
    return any(targets_one_shard(part, path) for part in query.get("$and", []))


def _id_bytes(document: bytes) -> int:
    value = RawBSONDocument(document).get("_id")
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, RawBSONDocument):
        return len(value.raw)
    return len(value) if isinstance(value, bytes) else 0
