"""Whether a command finds a Redis, or the ledger of an earlier one."""

from __future__ import annotations

import socket
from pathlib import Path

from dataworks_tasks.settings import FrameworkConfig
from producer.state_folder import STATE_FOLDER

_DEFAULT_REDIS = ("localhost", 6379)
_CONNECT_SECONDS = 0.5


def redis_is_set(config: FrameworkConfig) -> bool:
    """Return whether a Redis is named, or one answers at the default address."""
    if "broker_url" in config.model_fields_set:
        return True
    try:
        with socket.create_connection(_DEFAULT_REDIS, _CONNECT_SECONDS):
            return True
    except OSError:
        return False


def ledger_is_kept(folder: Path = STATE_FOLDER) -> bool:
    """Return whether an earlier command left a ledger in the folder."""
    return (folder / "data" / "valkey" / "appendonlydir").is_dir()
