"""The request of a run, before anything is checked against a server."""

from __future__ import annotations

from dataclasses import dataclass, field

from dataworks_tasks.runs.choices import IndexPolicy, OnConflict, OnError, Priority
from dataworks_tasks.runs.spec import Transform
from dataworks_tasks.store.create_collection import CollectionLayout


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of every run. None stands for the value in the settings, or for no limit."""

    batch_size: int | None = None
    write_concern: str | None = None
    on_error: OnError = OnError.SKIP
    max_failures: int = 1000
    max_rate: float | None = None
    max_ru: float | None = None
    source_max_ru: float | None = None
    priority: Priority = Priority.NORMAL
    max_processes: int | None = None
    run_name: str | None = None
    drop: bool = False
    append: bool = False
    layout: CollectionLayout = field(default_factory=CollectionLayout)


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Generate documents. ``what`` is a template's name or file, or a custom generator's name."""

    what: str
    total: int | None = None
    database: str | None = None
    collection: str | None = None
    seed: int | None = None
    allow_duplicates: bool = False
    options: RunOptions = RunOptions()
    scale: float | None = None
    """The factor for the counts of a template's collections."""


@dataclass(frozen=True, slots=True)
class MigrationRequest:
    """Copy collections from the source to the target."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    to: str | None = None
    mappings: tuple[str, ...] = ()
    views: bool = False
    strategy: str = "default"
    filter: str | None = None
    transform: Transform = field(default_factory=Transform)
    id_from: str | None = None
    on_conflict: OnConflict = OnConflict.FAIL
    indexes: IndexPolicy = IndexPolicy.AFTER
    partitioner: str = "auto"
    follow: bool = False
    on_ddl: str = "stop"
    different_servers: bool = False
    allow_unmatched: bool = False
    options: RunOptions = RunOptions()
