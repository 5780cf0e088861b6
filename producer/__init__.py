"""Everything that a person starts: the command line and the Python API.

Names are imported when they are first used: the supervisor of local services, and ``--help``, stay
light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from producer.api import (
        DataGenerationEngine,
        FollowedRun,
        MigrationEngine,
        create_generation_engine,
        create_migration_engine,
    )
    from producer.cutover.cut_over_request import CutOverRequest
    from producer.start.run_request import MigrationRequest, RunOptions
    from producer.view.run_result import RunResult, RunStatus

_HOMES = {
    "DataGenerationEngine": "api",
    "CutOverRequest": "cutover.cut_over_request",
    "FollowedRun": "api",
    "MigrationEngine": "api",
    "RunResult": "view.run_result",
    "RunStatus": "view.run_result",
    "create_generation_engine": "api",
    "create_migration_engine": "api",
    "MigrationRequest": "start.run_request",
    "RunOptions": "start.run_request",
}

__all__ = [
    "CutOverRequest",
    "DataGenerationEngine",
    "FollowedRun",
    "MigrationEngine",
    "MigrationRequest",
    "RunOptions",
    "RunResult",
    "RunStatus",
    "create_generation_engine",
    "create_migration_engine",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
