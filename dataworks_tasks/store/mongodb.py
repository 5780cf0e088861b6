"""Plain MongoDB and MongoDB Atlas."""

from __future__ import annotations

from dataworks_tasks.settings.database import DatabaseType
from dataworks_tasks.store.client import BaseDatabaseClient


class MongoDBClient(BaseDatabaseClient):
    """A self-managed MongoDB server, replica set or sharded cluster.

    If the server turns out to be one of Azure's, the client switches to that dialect.
    """

    db_type = DatabaseType.MONGODB


class MongoDBAtlasClient(BaseDatabaseClient):
    """MongoDB Atlas."""

    db_type = DatabaseType.MONGODB_ATLAS
