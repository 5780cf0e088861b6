"""Choose the change reader that a source needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

from bson.timestamp import Timestamp

from dataworks_tasks.rate_limits.reads import ReadRateLimiter
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.settings.database import DatabaseType
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.sync.change_reader import CapturedChanges, ChangeReader
from dataworks_tasks.sync.latest_version_changes import LatestVersionChanges
from dataworks_tasks.sync.opaque_changes import OpaqueChanges


class Changes(Protocol):
    """A source's changes from a position on; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def read(self, most_keys: int, seconds: float) -> CapturedChanges:
        """Read the next changes, with the position after them. Raises HistoryLost."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What is followed. ``database``: the only one, if the user may not read the deployment.

    ``clock``: the time that positions get if the server has none.
    """

    source: BaseDatabaseClient
    namespaces: tuple[NamespacePair, ...]
    database: str | None
    clock: Callable[[], float]
    limiter: ReadRateLimiter | None = None


def open_changes(
    followed: Followed,
    token: bytes | None = None,
    at: Timestamp | None = None,
    *,
    waits: bool = True,
) -> Changes:
    """Return a reader from ``token`` on; without one from the time ``at``, or from now.

    ``waits``: whether it waits a moment for the next change where positions have a time.
    """
    source, namespaces = followed.source, followed.namespaces
    complete_to = float(at.time) if at is not None else 0.0
    if source.capabilities.request_charge:
        return LatestVersionChanges(
            source, namespaces, token or b"", followed.clock, complete_to, followed.limiter
        )
    if source.db_type is DatabaseType.AZURE_DOCUMENTDB:
        return OpaqueChanges(source, namespaces, token or b"", followed.clock, complete_to)
    return ChangeReader(source, namespaces, followed.database, token, at, waits=waits)


def has_bounded_reads(source: BaseDatabaseClient) -> bool:
    """Return whether reads can be kept from being older than a change that was seen."""
    return source.capabilities.majority_reads


def has_deletes(source: BaseDatabaseClient) -> bool:
    """Return whether the source's change stream has deletions."""
    return not source.capabilities.request_charge
