"""Whether this process reaches the servers that a run is meant for."""

from __future__ import annotations

from dataworks_tasks.errors import SettingsError, SpecRefused
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.settings.loader import FrameworkConfig


def check_fingerprints(spec: RunSpec, config: FrameworkConfig) -> None:
    """Raise SpecRefused when this process reaches other servers than the run is meant for."""
    _check_side("target", spec.target_fingerprint, config.target)
    if spec.source_fingerprint is not None:
        _check_side("source", spec.source_fingerprint, config.source)


def _check_side(side: str, meant: str, config: DatabaseConfig | None) -> None:
    setting = f"FRAMEWORK_{side.upper()}_DB_CONNECTION_STRING"
    if config is None:
        raise SettingsError(f"no {side} database is set", f"Set {setting} for this process")
    if config.fingerprint != meant:
        raise SpecRefused(
            f"the run's {side} is {meant}, but this process reaches {config.fingerprint}",
            f"Set {setting} to the run's servers on this machine and restart the worker",
        )
