"""Which indexes Cosmos DB refuses (docs/cosmos-facts.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from producer.cosmos_simulator.responses import error

UNSUPPORTED_KINDS = frozenset({"text", "2d", "hashed"})
_CANNOT_CREATE_INDEX = 67


def index_error(
    index: Mapping[str, Any], shard_key: str | None, *, collection_is_empty: bool
) -> dict[str, Any] | None:
    """Return the error for an index specification of createIndexes; None: it is accepted."""
    reason = _reason(index, shard_key, collection_is_empty)
    return error(_CANNOT_CREATE_INDEX, reason) if reason else None


def _reason(
    index: Mapping[str, Any], shard_key: str | None, collection_is_empty: bool
) -> str | None:
    kinds = [kind for kind in index["key"].values() if kind in UNSUPPORTED_KINDS]
    unique = bool(index.get("unique"))
    if kinds:
        return f"Index type {kinds[0]} is not supported."
    if index.get("sparse"):
        return "Sparse indexes are not supported."
    if "partialFilterExpression" in index and not unique:
        return "Partial indexes must be unique."
    if unique and not collection_is_empty:
        return "Cannot create unique index when collection contains documents"
    if unique and shard_key and shard_key not in index["key"]:
        return "A unique index must contain the shard key"
    return None
