"""What a server says about itself in its hello."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dataworks_tasks.errors import TerminalError
from dataworks_tasks.settings.database import DatabaseConfig, DatabaseType
from dataworks_tasks.store.capabilities import DIALECTS, Capabilities, type_by_hello
from dataworks_tasks.store.connection_string import check_connection_string

AskAdmin = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Runs a command on the database ``admin``."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server's name, version and dialect, as it reports them."""

    version: str
    wire_version: int
    replica_set: str | None


def ask_hello(ask: AskAdmin) -> Mapping[str, Any]:
    """Return the server's hello."""
    try:
        return ask({"hello": 1})
    except TerminalError:  # servers before 4.4 may know only its old name
        return ask({"isMaster": 1})


def detect_dialect(
    hello: Mapping[str, Any], config: DatabaseConfig, supposed: DatabaseType
) -> tuple[DatabaseType, Capabilities]:
    """Return the dialect that the server speaks, and what it can do.

    Raises SettingsError for a connection string that does not fit that dialect.
    """
    detected = None if config.db_type else type_by_hello(hello)
    if detected is not None and detected is not supposed:
        check_connection_string(config.connection_string.get_secret_value(), detected)
        supposed = detected
    return supposed, DIALECTS[supposed].reported(hello, config.large_documents)


def server_info(hello: Mapping[str, Any], ask: AskAdmin) -> ServerInfo:
    """Return the facts about a server that a person needs."""
    version = str(ask({"buildInfo": 1}).get("version", "unknown"))
    return ServerInfo(version, int(hello["maxWireVersion"]), hello.get("setName"))
