"""Every setting by its name, with its place in the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydantic.fields import FieldInfo

from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.settings.framework_config import FrameworkConfig

_DATABASE_NAMES = {
    "CONNECTION_STRING": "connection_string",
    "NAME": "database_name",
    "COLLECTION": "collection_name",
    "TYPE": "db_type",
    "MAX_POOL_SIZE": "max_pool_size",
    "MIN_POOL_SIZE": "min_pool_size",
    "MAX_IDLE_TIME_MS": "max_idle_time_ms",
    "LARGE_DOCUMENTS": "large_documents",
    "WARMUP_CONNECTIONS": "warmup_connections",
}


class SettingName(NamedTuple):
    """A setting: its name without the prefix, its place in the config, and what it means."""

    name: str
    place: tuple[str, ...]
    description: str
    default: object
    is_count: bool = False
    """Whether it is a whole number, which may be written like 10k."""


def known_settings() -> Iterator[SettingName]:
    """Return every setting."""
    for name, field in FrameworkConfig.model_fields.items():
        if name not in {"source", "target"}:
            yield SettingName(
                name.upper(), (name,), field.description or "", field.default, _is_count(field)
            )
    for side in ("source", "target"):
        for name, attribute in _DATABASE_NAMES.items():
            field = DatabaseConfig.model_fields[attribute]
            default = None if field.is_required() else field.default
            yield SettingName(
                f"{side.upper()}_DB_{name}",
                (side, attribute),
                field.description or "",
                default,
                _is_count(field),
            )


def _is_count(field: FieldInfo) -> bool:
    return field.annotation in (int, int | None)
