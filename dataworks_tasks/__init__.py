"""Everything that a worker runs, and the classes that users build on.

Names are imported when they are first used: ``celery -A dataworks_tasks`` finds ``app`` here, and a
program that only reads settings does not pay for Celery or numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dataworks_tasks.version import __version__

if TYPE_CHECKING:
    from dataworks_tasks.celery_app import app
    from dataworks_tasks.generate.custom.base import BaseDataGenerator, GeneratorType
    from dataworks_tasks.generate.custom.factory import GeneratorFactory
    from dataworks_tasks.migrate.base import BaseMigrationStrategy
    from dataworks_tasks.migrate.factory import MigrationStrategyFactory
    from dataworks_tasks.monitor.metrics import MetricsCollector
    from dataworks_tasks.monitor.operation import OperationMetrics, PerformanceMonitor
    from dataworks_tasks.settings import ConfigManager, FrameworkConfig
    from dataworks_tasks.settings.database import DatabaseConfig, DatabaseType
    from dataworks_tasks.store.client import BaseDatabaseClient
    from dataworks_tasks.store.cosmosdb import CosmosDBClient
    from dataworks_tasks.store.create_client import create_database_client
    from dataworks_tasks.store.mongodb import MongoDBAtlasClient

_HOMES = {
    "app": "celery_app",
    "BaseDataGenerator": "generate.custom.base",
    "GeneratorType": "generate.custom.base",
    "GeneratorFactory": "generate.custom.factory",
    "BaseMigrationStrategy": "migrate.base",
    "MigrationStrategyFactory": "migrate.factory",
    "MetricsCollector": "monitor.metrics",
    "OperationMetrics": "monitor.operation",
    "PerformanceMonitor": "monitor.operation",
    "ConfigManager": "settings",
    "FrameworkConfig": "settings",
    "BaseDatabaseClient": "store.client",
    "DatabaseConfig": "settings.database",
    "DatabaseType": "settings.database",
    "CosmosDBClient": "store.cosmosdb",
    "create_database_client": "store.create_client",
    "MongoDBAtlasClient": "store.mongodb",
}

__all__ = [
    "BaseDataGenerator",
    "BaseDatabaseClient",
    "BaseMigrationStrategy",
    "ConfigManager",
    "CosmosDBClient",
    "DatabaseConfig",
    "DatabaseType",
    "FrameworkConfig",
    "GeneratorFactory",
    "GeneratorType",
    "MetricsCollector",
    "MigrationStrategyFactory",
    "MongoDBAtlasClient",
    "OperationMetrics",
    "PerformanceMonitor",
    "__version__",
    "app",
    "create_database_client",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
