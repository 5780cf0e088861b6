"""The Kubernetes secret that the manifests in ``deploy/kubernetes`` read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.redis_address import SENTINEL_SCHEME
from dataworks_tasks.settings.setting_names import known_settings

FLOWER_PASSWORD = "FLOWER_BASIC_AUTH"  # noqa: S105 - the name of a variable
_REDIS_PORT = 6379


def kubernetes_secret(config: FrameworkConfig, name: str, flower: str | None) -> dict[str, Any]:
    """Return the manifest of a secret called ``name``, with every secret setting that is set.

    ``flower`` is Flower's user and password. The parts of the ledger's address are added for KEDA,
    which does not read URLs.
    """
    data = dict(_secret_settings(config)) | _keda_keys(config)
    if flower:
        data[FLOWER_PASSWORD] = flower
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "Opaque",
        "stringData": data,
    }


def other_settings(config: FrameworkConfig) -> list[str]:
    """Return the names of settings that are set and not secret: they belong in a ConfigMap."""
    return [
        f"FRAMEWORK_{setting.name}"
        for setting in known_settings()
        if not isinstance(value := _value(config, setting.place), SecretStr)
        and value not in (None, setting.default)
    ]


def keda_hints(config: FrameworkConfig) -> Iterator[str]:
    """Yield a sentence for each change that these settings need in worker-scaling.yaml."""
    url = config.effective_ledger_url.get_secret_value()
    if url.startswith(SENTINEL_SCHEME):
        yield "use the trigger redis-sentinel: KEDA reaches this Redis through Sentinels"
    elif database := urlsplit(url).path.strip("/").lstrip("0"):
        yield f'write databaseIndex: "{database}"'
    if config.queue != FrameworkConfig.model_fields["queue"].default:
        yield f'write listName: "dataworks:wanted:{config.queue}"'


def _secret_settings(config: FrameworkConfig) -> Iterator[tuple[str, str]]:
    for setting in known_settings():
        value = _value(config, setting.place)
        if isinstance(value, SecretStr):
            yield f"FRAMEWORK_{setting.name}", value.get_secret_value()


def _value(config: object, place: tuple[str, ...]) -> Any:
    for attribute in place:
        config = getattr(config, attribute, None)
    return config


def _keda_keys(config: FrameworkConfig) -> dict[str, str]:
    url = config.effective_ledger_url.get_secret_value()
    if url.startswith(SENTINEL_SCHEME):
        return {}
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    return {
        "redis-address": f"{f'[{host}]' if ':' in host else host}:{parts.port or _REDIS_PORT}",
        "redis-username": unquote(parts.username or ""),
        "redis-password": unquote(parts.password or ""),
        "redis-tls": "enable" if parts.scheme == "rediss" else "disable",
    }
