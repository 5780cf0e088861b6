"""Azure Cosmos DB for MongoDB (request units), and Azure DocumentDB (formerly vCore)."""

from __future__ import annotations

from typing import Any

from dataworks_tasks.store.client import BaseDatabaseClient, Capabilities


class CosmosDBClient(BaseDatabaseClient):
    """Azure Cosmos DB for MongoDB with request units.

    The limits are those its hello reports (maxWriteBatchSize 1000, maxMessageSizeBytes 4194304).
    """

    capabilities = Capabilities(
        max_documents_per_write=1000,
        max_bytes_per_write=4_000_000,
        server_sessions=False,
        sample=False,
        collection_stats=False,
        request_charge=True,
    )

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), "retryWrites": False}


class AzureDocumentDBClient(BaseDatabaseClient):
    """Azure DocumentDB, formerly Azure Cosmos DB for MongoDB vCore."""
