"""The settings that reach local services, as a worker's environment or a command's flags."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Self

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
    def environment(self) -> dict[str, str]:
        """The same as environment variables."""
        return {f"FRAMEWORK_{name}": value for name, value in self.settings.items()}


@dataclass(frozen=True, slots=True)
class SettingsInForce:
    """The settings that reach the workers of this folder.

    What the environment, a profile or ``.env_local`` sets comes before local addresses, for the
    workers as for every other command of this folder: all must reach the same servers.
    """

    environment: dict[str, str]
    """Variables of the workers, which read ``.env_local`` and this process's environment too."""
    elsewhere: dict[str, str]
    """Variables for commands that do not run in this folder; no value of them is a secret."""
    set_here: tuple[str, ...]
    """Addresses that are set for this folder, and may hold secrets: others need them too."""

    @classmethod
    def of(cls, addresses: LocalAddresses, config: FrameworkConfig, profile: str | None) -> Self:
        """Return what is in force with the settings ``config``."""
        source, target = config.source, config.target
        addressed = {
            "FRAMEWORK_BROKER_URL": config.broker_url,
            "FRAMEWORK_LEDGER_URL": config.ledger_url,
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": source.connection_string if source else None,
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING": target.connection_string if target else None,
        }
        local: dict[str, str] = {}
        set_here: list[str] = []
        for name, secret in addressed.items():
            if secret is None:  # the ledger follows the broker
                continue
            value = secret.get_secret_value()
            if value == addresses.environment[name]:
                local[name] = value
            else:
                set_here.append(name)
        default = FrameworkConfig.model_fields["queue"].default
        queue = {} if config.queue == default else {"FRAMEWORK_QUEUE": config.queue}
        chosen = {"FRAMEWORK_PROFILE": profile} if profile else {}
        return cls({**local, **chosen}, {**local, **queue}, tuple(set_here))

    @property
    def lines(self) -> list[str]:
        """Lines for a shell or for ``.env_local``."""
        return [f"export {name}={shlex.quote(value)}" for name, value in self.elsewhere.items()]


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
