"""Plain MongoDB and MongoDB Atlas."""

from __future__ import annotations

from dataworks_tasks.store.client import BaseDatabaseClient


class MongoDBClient(BaseDatabaseClient):
    """A MongoDB server, replica set or sharded cluster that somebody runs."""


class MongoDBAtlasClient(BaseDatabaseClient):
    """MongoDB Atlas."""
