"""The run spec: everything that a worker must know about a run, except how to reach the servers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.bounds import MAX_DOCUMENTS
from dataworks_tasks.runs.choices import (
    IndexPolicy,
    OnConflict,
    OnDdl,
    OnError,
    Partitioner,
    Priority,
)
from dataworks_tasks.runs.namespace import Namespace

FORMAT_VERSION = 5
"""Changes with every field of the spec: a worker of another version then says what is wrong"""


class RunKind(StrEnum):
    """What a run does."""

    GENERATION = "generation"
    MIGRATION = "migration"
    VERIFICATION = "verification"
    REPAIR = "repair"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IndexEntries(_Frozen):
    """What an index holds for each document of its collection, estimated from a few of them."""

    name: str
    entries: float = Field(default=1, ge=0, description="more than 1 for an index over arrays")
    fields: int = Field(default=1, ge=1)
    key_bytes: float = Field(default=8, ge=0, description="bytes of all entries of a document")


class GenerationPart(_Frozen):
    """The documents of one collection: run indexes ``[first, first + count)``."""

    namespace: Namespace
    position: int = Field(ge=0, description="which collection of the template")
    first: int = Field(ge=0, description="the run index of its document 0")
    count: int = Field(ge=0, le=MAX_DOCUMENTS)
    unique_ids: bool = Field(
        default=True, description="whether the collection keeps _id unique; a time series does not"
    )
    uuid: str | None = Field(default=None, description="the collection's UUID when the run began")
    indexes: tuple[IndexEntries, ...] = Field(
        default=(), description="indexes that are built after the documents; for the time left"
    )

    @property
    def range(self) -> BatchRange:
        """Its run indexes."""
        return BatchRange(self.first, self.first + self.count)


class GenerationJob(_Frozen):
    """Generate documents from a template, or with a generator that workers know by name."""

    kind: Literal[RunKind.GENERATION] = RunKind.GENERATION
    template: Any = Field(default=None, description="the complete template, as JSON")
    generator: str | None = Field(default=None, description="name of a custom generator")
    name: str = Field(description="the request, as a person wrote it")
    seed: int
    parts: tuple[GenerationPart, ...]
    probe_digest: str = Field(description="digest of a few documents; a worker must match it")
    made_with: dict[str, str] = Field(
        default={}, description="versions of everything that affects the documents' bytes"
    )
    documents_format: int = Field(
        default=1, description="version of the documents that a template makes; a run has only one"
    )

    @property
    def total(self) -> int:
        """Documents of all parts."""
        return sum(part.count for part in self.parts)


class NamespacePair(_Frozen):
    """A collection and where it goes.

    The UUIDs are those that both had when the run began, if their servers have UUIDs.
    """

    source: Namespace
    target: Namespace
    source_uuid: str | None = None
    target_uuid: str | None = None
    id_from: tuple[str, ...] = Field(
        default=(), description="paths whose values, with the old _id, make the new one"
    )
    indexes: int = Field(
        default=0, ge=0, description="indexes that are built after the copy; for the time left"
    )
    index_entries: tuple[IndexEntries, ...] = Field(
        default=(), description="what those indexes hold; for the time left"
    )
    source_writes: int | None = Field(
        default=None, description="write commands that the source had counted when the run began"
    )

    def turned(self) -> NamespacePair:
        """Return the pair for the way back."""
        return NamespacePair(
            source=self.target,
            target=self.source,
            source_uuid=self.target_uuid,
            target_uuid=self.source_uuid,
        )


class Transform(_Frozen):
    """Declarative changes to every document, in this order."""

    rename: tuple[tuple[str, str], ...] = ()
    drop: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = Field(default=(), description="field, Extended JSON value")
    mask: tuple[tuple[str, str], ...] = Field(default=(), description="field, faker:METHOD")
    mask_seed: int = 0

    def __bool__(self) -> bool:
        return bool(self.rename or self.drop or self.set or self.mask)


class LeftOut(_Frozen):
    """A collection or view of the source that the run does not copy, and why.

    ``attention``: a person may have expected it at the target.
    """

    namespace: Namespace
    reason: str
    attention: bool = True


class ClaimTimes(_Frozen):
    """How long one process has a key window for itself, the same for the whole fleet."""

    seconds: float = Field(
        default=30.0, gt=0, description="a claim ends this long after a heartbeat"
    )
    late_seconds: float = Field(
        default=180.0, ge=0, description="a write of a lost process arrives within this time"
    )


class StartPosition(_Frozen):
    """A position in a source's history: a resume token, and its cluster time."""

    token: str = Field(description="BSON as hexadecimal digits")
    seconds: int
    increment: int


class FollowPart(_Frozen):
    """How a migration follows its source after the copy."""

    position: StartPosition = Field(description="where the changes begin: before the first slice")
    nonce: str = Field(description="in every window, so that no two plans are alike")
    database: str | None = Field(
        default=None, description="the only database that is followed; None: the deployment"
    )
    on_ddl: OnDdl = OnDdl.STOP
    claims: ClaimTimes = ClaimTimes()
    continues: str | None = Field(
        default=None, description="the run that copied everything; None: this one copies it"
    )
    stale_seconds: float = Field(
        default=0,
        ge=0,
        description="how much older than a seen change a read may be; 0: never older",
    )
    delete_scan_seconds: float = Field(
        default=0, ge=0, description="how often to look for deletions; 0: the changes include them"
    )
    compare_first: bool = Field(
        default=False, description="there may be changes between that run and the position"
    )


class ClusterTime(_Frozen):
    """A moment in the history of a replica set."""

    seconds: int
    increment: int


class MigrationJob(_Frozen):
    """Copy collections."""

    kind: Literal[RunKind.MIGRATION] = RunKind.MIGRATION
    namespaces: tuple[NamespacePair, ...]
    strategy: str = "default"
    filter: str | None = Field(default=None, description="Extended JSON query on the source")
    transform: Transform = Transform()
    on_conflict: OnConflict = OnConflict.FAIL
    indexes: IndexPolicy = IndexPolicy.AFTER
    partitioner: str = Field(default=Partitioner.AUTO.value, description=", ".join(Partitioner))
    renames: tuple[tuple[str, str], ...] = Field(
        default=(), description="patterns of names at the source and at the target"
    )
    views: tuple[NamespacePair, ...] = Field(default=(), description="views that the run defines")
    left_out: tuple[LeftOut, ...] = ()
    allow_unmatched: bool = Field(default=False, description="rules and filters may match nothing")
    mask_digest: str = Field(
        default="", description="digest of a few masked values; a worker must match it"
    )
    made_with: dict[str, str] = Field(
        default={}, description="versions of everything that affects masked values"
    )
    include: tuple[str, ...] = Field(default=(), description="patterns that were selected")
    exclude: tuple[str, ...] = ()
    begins_at: ClusterTime | None = Field(
        default=None, description="the source's time before the run read anything"
    )
    follow: FollowPart | None = None
    swapped: bool = Field(
        default=False,
        description="whether it reads from the settings' target and writes to their source",
    )


class VerificationJob(_Frozen):
    """Compare what a run should have written with what its target holds."""

    kind: Literal[RunKind.VERIFICATION] = RunKind.VERIFICATION
    run_id: str
    of: GenerationJob | MigrationJob = Field(discriminator="kind")
    exclusive: bool = Field(
        description="the target held nothing else, so documents of no run count as extra"
    )


class RepairJob(_Frozen):
    """Make equal what a verification found to differ. Its ranges count key windows."""

    kind: Literal[RunKind.REPAIR] = RunKind.REPAIR
    run_id: str
    of: GenerationJob | MigrationJob = Field(discriminator="kind")
    verification: str = Field(description="the run whose differences are repaired")
    delete_extra: bool = Field(description="whether documents that should not exist are deleted")
    claims: ClaimTimes = ClaimTimes()


Job = Annotated[
    GenerationJob | MigrationJob | VerificationJob | RepairJob, Field(discriminator="kind")
]


class RunSpec(_Frozen):
    """A run, fixed when it is created. Holds no connection string, password or import path."""

    format: int = FORMAT_VERSION
    run_id: str
    created_at: datetime
    batch_size: int = Field(ge=1, description="documents of one batch range, or of one slice")
    write_concern: str = Field(default="majority", description="majority, or a number of nodes")
    on_error: OnError = OnError.SKIP
    max_failures: int = Field(
        default=1000, ge=0, description="the run stops when more documents fail"
    )
    max_rate: float | None = Field(
        default=None, gt=0, description="documents per second of the fleet"
    )
    max_ru: float | None = Field(
        default=None, gt=0, description="request units per second at the target, fleet"
    )
    source_max_ru: float | None = Field(
        default=None, gt=0, description="request units per second at the source, fleet"
    )
    priority: Priority | None = Field(default=None, description="None: normal")
    max_processes: int | None = Field(
        default=None, ge=1, description="worker processes at once, in the fleet"
    )
    append: bool = False
    source_fingerprint: str | None = None
    target_fingerprint: str
    source_server: str | None = Field(
        default=None, description="the server process that the producer reached"
    )
    target_server: str | None = None
    job: Job

    @property
    def kind(self) -> RunKind:
        """What the run does."""
        return self.job.kind

    @property
    def data_job(self) -> GenerationJob | MigrationJob:
        """The job that writes the data: of a verification or repair, the one that it is about."""
        return self.job.of if isinstance(self.job, VerificationJob | RepairJob) else self.job

    @property
    def follows(self) -> bool:
        """Whether it is a migration that follows its source until the cut-over."""
        return isinstance(self.job, MigrationJob) and self.job.follow is not None

    @property
    def is_swapped(self) -> bool:
        """Whether its source is the settings' target, and the other way round."""
        return isinstance(self.data_job, MigrationJob) and self.data_job.swapped

    @property
    def is_sliced(self) -> bool:
        """Whether its ranges count slices of a key space, not document indexes."""
        return isinstance(self.data_job, MigrationJob) or self.kind is RunKind.REPAIR

    def to_json(self) -> str:
        """Return the spec as the ledger keeps it."""
        return self.model_dump_json(exclude_none=True)
