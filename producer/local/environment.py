"""The settings that reach local services, as a worker's environment or a command's flags."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LocalAddresses:
    """Where this folder's servers are; MongoDB is source and, without another, target too."""

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
