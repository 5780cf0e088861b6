"""The Python API: start a run from a program and wait for its outcome."""

from producer.api.followed_run import FollowedRun
from producer.api.generation_engine import DataGenerationEngine, create_generation_engine
from producer.api.migration_engine import MigrationEngine, create_migration_engine

__all__ = [
    "DataGenerationEngine",
    "FollowedRun",
    "MigrationEngine",
    "create_generation_engine",
    "create_migration_engine",
]
