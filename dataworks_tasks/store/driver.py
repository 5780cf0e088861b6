"""The driver's clients, with the options for what the connection string does not set."""

from __future__ import annotations

import sys
from typing import Any

from pymongo import MongoClient

from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.capabilities import Capabilities
from dataworks_tasks.store.connection_string import names_option, with_literal_plus
from dataworks_tasks.store.connection_watch import ConnectionWatch
from dataworks_tasks.store.driver_errors import classified

Driver = MongoClient[dict[str, Any]]

_TIMEOUTS = {
    "serverSelectionTimeoutMS": 10_000,
    "connectTimeoutMS": 10_000,
    "socketTimeoutMS": 60_000,
}
"""In milliseconds, unless the connection string sets them."""


def open_driver(
    config: DatabaseConfig, capabilities: Capabilities, watch: ConnectionWatch
) -> Driver:
    """Open the client for short operations; ``watch`` observes its connections."""
    return _open(config, _options(config, capabilities), [watch])


def open_driver_without_timeout(config: DatabaseConfig, capabilities: Capabilities) -> Driver:
    """Open the client for operations whose duration grows with the collection.

    It has no socket timeout.
    """
    options = {**_options(config, capabilities), "minPoolSize": 0, "socketTimeoutMS": 0}
    return _open(config, options, [])


def _open(
    config: DatabaseConfig, options: dict[str, Any], listeners: list[ConnectionWatch]
) -> Driver:
    uri = with_literal_plus(config.connection_string.get_secret_value())
    with classified():
        return MongoClient(uri, event_listeners=listeners, **options)


def _options(config: DatabaseConfig, capabilities: Capabilities) -> dict[str, Any]:
    uri = config.connection_string.get_secret_value()
    options: dict[str, Any] = {
        "maxPoolSize": max(config.max_pool_size, config.min_pool_size, config.warmup_connections),
        "minPoolSize": config.min_pool_size,
        "maxIdleTimeMS": min(config.max_idle_time_ms, capabilities.max_idle_ms or sys.maxsize),
    }
    options |= {name: ms for name, ms in _TIMEOUTS.items() if not names_option(uri, name)}
    if not names_option(uri, "appName"):
        options["appName"] = "dataworks"
    if not capabilities.retryable_writes:
        options["retryWrites"] = False
    return options
