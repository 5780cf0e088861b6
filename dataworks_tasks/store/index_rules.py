"""Which indexes a dialect refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataworks_tasks.store.capabilities import Capabilities


def index_refusal(
    index: Mapping[str, Any],
    capabilities: Capabilities,
    *,
    shard_key: str | None = None,
    has_documents: bool = False,
) -> str | None:
    """Return why the server would refuse an index of a collection; None if no refusal is known.

    ``has_documents``: the collection holds some when the index is built.
    """
    kinds = [kind for kind in index["key"].values() if kind in capabilities.refused_index_kinds]
    unique = bool(index.get("unique"))
    if kinds:
        return f"the target does not support {kinds[0]} indexes"
    if index.get("sparse") and not capabilities.sparse_indexes:
        return "the target does not support sparse indexes"
    if "partialFilterExpression" in index and not unique and not capabilities.sparse_indexes:
        return "a partial index must be unique at the target"
    if unique and capabilities.unique_indexes_while_empty:
        if has_documents:
            return "the target builds unique indexes only on empty collections"
        if shard_key and shard_key not in index["key"]:
            return f"a unique index must contain the shard key {shard_key} at the target"
    return None
