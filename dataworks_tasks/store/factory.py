"""From a database config to its client."""

from __future__ import annotations

from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.config import DatabaseConfig, DatabaseType
from dataworks_tasks.store.cosmosdb import AzureDocumentDBClient, CosmosDBClient
from dataworks_tasks.store.mongodb import MongoDBAtlasClient, MongoDBClient

_CLIENTS: dict[DatabaseType, type[BaseDatabaseClient]] = {
    DatabaseType.MONGODB: MongoDBClient,
    DatabaseType.MONGODB_ATLAS: MongoDBAtlasClient,
    DatabaseType.COSMOS_DB: CosmosDBClient,
    DatabaseType.AZURE_DOCUMENTDB: AzureDocumentDBClient,
}

_HOST_ENDINGS = (
    (".mongocluster.cosmos.azure.com", DatabaseType.AZURE_DOCUMENTDB),
    (".cosmos.azure.com", DatabaseType.COSMOS_DB),
    (".documents.azure.com", DatabaseType.COSMOS_DB),
    (".mongodb.net", DatabaseType.MONGODB_ATLAS),
)


def detect_type(config: DatabaseConfig) -> DatabaseType:
    """The dialect that ``db_type`` names, else the one the host name tells."""
    if config.db_type is not None:
        return config.db_type
    host = config.fingerprint.partition(",")[0].partition(":")[0]
    return next(
        (type_ for ending, type_ in _HOST_ENDINGS if host.endswith(ending)), DatabaseType.MONGODB
    )


def create_database_client(config: DatabaseConfig) -> BaseDatabaseClient:
    """A client for the config's server. Nothing is connected before it is used."""
    return _CLIENTS[detect_type(config)](config)
