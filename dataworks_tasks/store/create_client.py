"""Create the client for a database config."""

from __future__ import annotations

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.settings.address_syntax import ENCODE_COMMAND, check_syntax
from dataworks_tasks.settings.database import DatabaseConfig, DatabaseType
from dataworks_tasks.store.capabilities import type_by_host
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.connection_string import check_connection_string, first_host
from dataworks_tasks.store.cosmosdb import AzureDocumentDBClient, CosmosDBClient
from dataworks_tasks.store.mongodb import MongoDBAtlasClient, MongoDBClient

_CLIENTS: dict[DatabaseType, type[BaseDatabaseClient]] = {
    DatabaseType.MONGODB: MongoDBClient,
    DatabaseType.MONGODB_ATLAS: MongoDBAtlasClient,
    DatabaseType.COSMOS_DB: CosmosDBClient,
    DatabaseType.AZURE_DOCUMENTDB: AzureDocumentDBClient,
}


def detect_type(config: DatabaseConfig) -> DatabaseType:
    """Return ``db_type``, else the dialect that the host name implies, else plain MongoDB."""
    if config.db_type is not None:
        return config.db_type
    host = first_host(config.connection_string.get_secret_value())
    return type_by_host(host) or DatabaseType.MONGODB


def create_database_client(config: DatabaseConfig) -> BaseDatabaseClient:
    """Create a client for the config's server. It connects on first use.

    Raises SettingsError when the connection string cannot work with the dialect.
    """
    type_ = detect_type(config)
    address = config.connection_string.get_secret_value()
    check_connection_string(address, type_)
    try:
        check_syntax(address)
    except ValueError as error:
        raise SettingsError(f"the connection string: {error}", ENCODE_COMMAND) from None
    return _CLIENTS[type_](config)
