"""The settings that reach local services, as a worker's environment or a command's flags."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from dataworks_tasks.settings import FrameworkConfig


@dataclass(frozen=True, slots=True)
class LocalAddresses:
    """The addresses of this folder's servers; MongoDB is source and, by default, target."""

    redis_url: str
    mongodb_url: str
    target_url: str | None = None

    @property
    def settings(self) -> dict[str, str]:
        """Setting names without prefix, with their values."""
        return {
            "BROKER_URL": self.redis_url,
            "LEDGER_URL": self.redis_url,
            "SOURCE_DB_CONNECTION_STRING": self.mongodb_url,
            "TARGET_DB_CONNECTION_STRING": self.target_url or self.mongodb_url,
        }

    @property
    def lines(self) -> list[str]:
        """Lines for a shell or for ``.env_local``; the ledger follows the broker."""
        return [
            f"export {name}={shlex.quote(value)}"
            for name, value in self.environment.items()
            if name != "FRAMEWORK_LEDGER_URL"
        ]

    @property
    def environment(self) -> dict[str, str]:
        """The same as environment variables."""
        return {f"FRAMEWORK_{name}": value for name, value in self.settings.items()}


def worker_environment(config: FrameworkConfig, profile: str | None) -> dict[str, str]:
    """Variables with which a worker that is started in this folder has these settings.

    A worker reads this process's environment and ``.env_local`` itself; it cannot know what came
    from a flag or from local services.
    """
    secrets = {
        "BROKER_URL": config.broker_url if "broker_url" in config.model_fields_set else None,
        "LEDGER_URL": config.ledger_url,
        "SOURCE_DB_CONNECTION_STRING": config.source and config.source.connection_string,
        "TARGET_DB_CONNECTION_STRING": config.target and config.target.connection_string,
    }
    values = {name: value.get_secret_value() for name, value in secrets.items() if value}
    values["QUEUE"] = config.queue
    if profile:
        values["PROFILE"] = profile
    return {f"FRAMEWORK_{name}": value for name, value in values.items()}
