"""What a server reports about its collections and indexes, decoded without failing.

The driver's own ``list_collections`` and ``list_indexes`` decode strictly: they fail at a date
beyond year 9999, which a validator, a view or a partial index may name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.errors import OperationFailure

from dataworks_tasks.documents.raw_bson import TOLERANT
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classified
from dataworks_tasks.store.retrying import retry_transient

_NAMESPACE_NOT_FOUND = 26


def list_collections(client: BaseDatabaseClient, database: str) -> list[dict[str, Any]]:
    """Return every collection and view as ``listCollections`` reports it, with its options."""
    return _listed(client, database, {"listCollections": 1})


def list_indexes(client: BaseDatabaseClient, namespace: Namespace) -> list[dict[str, Any]]:
    """Return every index as ``listIndexes`` reports it; an empty list if there is no collection."""
    return _listed(client, namespace.database, {"listIndexes": namespace.collection})


def _listed(
    client: BaseDatabaseClient, database: str, command: Mapping[str, Any]
) -> list[dict[str, Any]]:
    def once() -> list[dict[str, Any]]:
        with classified():
            try:
                found = client.database(database).cursor_command(
                    dict(command), codec_options=TOLERANT
                )
                return [dict(item) for item in found]
            except OperationFailure as error:
                if error.code == _NAMESPACE_NOT_FOUND:
                    return []
                raise

    return retry_transient(once)
