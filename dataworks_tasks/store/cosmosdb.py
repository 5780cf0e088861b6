"""Azure Cosmos DB for MongoDB (request units), and Azure DocumentDB (formerly vCore)."""

from __future__ import annotations

from dataworks_tasks.settings.database import DatabaseType
from dataworks_tasks.store.client import BaseDatabaseClient


class CosmosDBClient(BaseDatabaseClient):
    """Azure Cosmos DB for MongoDB with request units."""

    db_type = DatabaseType.COSMOS_DB


class AzureDocumentDBClient(BaseDatabaseClient):
    """Azure DocumentDB, formerly Azure Cosmos DB for MongoDB vCore."""

    db_type = DatabaseType.AZURE_DOCUMENTDB
