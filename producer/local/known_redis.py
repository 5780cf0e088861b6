"""Whether a command finds a Redis, or the ledger of an earlier one."""

from __future__ import annotations

import socket
from pathlib import Path

from dataworks_tasks.errors import UsageError
from dataworks_tasks.settings import FrameworkConfig
from producer.local.services_record import find_local_services
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


def refuse_redis_of_a_command(config: FrameworkConfig, folder: Path = STATE_FOLDER) -> None:
    """Raise UsageError if Redis is one that another command has started for itself.

    It ends with that command, whose workers take only its own messages.
    """
    services = find_local_services(folder)
    if services is None or services.mongodb_url is not None:  # none, or `dataworks local`
        return
    if services.redis_url == config.broker_url.get_secret_value():
        raise UsageError(
            "another command is running in this folder, with a Redis and workers of its own "
            f"(process {services.command_pid})",
            "Wait until it ends, or type this command in another folder. "
            "For services that commands share: dataworks local",
        )


def ledger_is_kept(folder: Path = STATE_FOLDER) -> bool:
    """Return whether an earlier command left a ledger in the folder."""
    return (folder / "data" / "valkey" / "appendonlydir").is_dir()
