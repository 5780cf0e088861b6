"""Whether this process reaches the servers that a run is meant for."""

from __future__ import annotations

from socket import gethostname
from typing import Literal

from dataworks_tasks.errors import SettingsError, SpecRefused
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.settings.framework_config import FrameworkConfig

Side = Literal["source", "target"]


def setting_side(spec: RunSpec, side: Side) -> Side:
    """Return the side of the settings for this side of the run; opposite for a reversed run."""
    if not spec.is_swapped:
        return side
    return "target" if side == "source" else "source"


def connection_setting(spec: RunSpec, of_run: Side, settings: FrameworkConfig) -> str:
    """Return the flag or the setting that names the server of this side of the run."""
    return settings.called(_connection_string(spec, of_run))


def other_server_remedy(spec: RunSpec, of_run: Side, settings: FrameworkConfig) -> str:
    """Return what to do if this process reaches another server than the run's."""
    name = _connection_string(spec, of_run)
    if flag := settings.flag(name):
        return f"Give the run's servers with {flag}"
    setting = settings.called(name)
    return f"Set {setting} to the run's servers on {gethostname()}, and restart its worker"


def _connection_string(spec: RunSpec, of_run: Side) -> str:
    return f"{setting_side(spec, of_run).upper()}_DB_CONNECTION_STRING"


def check_fingerprints(spec: RunSpec, config: FrameworkConfig) -> None:
    """Raise SpecRefused when this process reaches servers other than those of the run."""
    _check_side(spec, "target", spec.target_fingerprint, config)
    if spec.source_fingerprint is not None:
        _check_side(spec, "source", spec.source_fingerprint, config)


def _check_side(spec: RunSpec, of_run: Side, meant: str, settings: FrameworkConfig) -> None:
    side = setting_side(spec, of_run)
    config: DatabaseConfig | None = getattr(settings, side)
    if config is None:
        setting = connection_setting(spec, of_run, settings)
        raise SettingsError(
            f"no {side} database is set", f"Name one: --{side} mongodb://HOST, or set {setting}"
        )
    if config.fingerprint != meant:
        raise SpecRefused(
            f"the run's {of_run} is {meant}, but this process reaches {config.fingerprint}",
            other_server_remedy(spec, of_run, settings),
        )
