"""Refuse to copy documents that share their ``_id`` to a target where each ``_id`` is unique."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dataworks_tasks.documents.raw_bson import element_bytes
from dataworks_tasks.errors import UsageError
from dataworks_tasks.migrate.route import parsed_filter, repeated_ids
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.choices import ID_FROM_SHARD_KEY, OnConflict
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.scan.key_space import ID, key_of
from dataworks_tasks.scan.read_slice import SliceSource, read_slice
from dataworks_tasks.scan.slice import EACH_TYPE_APART
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.shard_key import value_at

_COUNTING_SECONDS = 20.0
_REMEDY = (
    f"Give each a unique _id, made from the old one and the shard key: --id-from "
    f"{ID_FROM_SHARD_KEY}; or shard the target by the same key"
)


@dataclass(frozen=True, slots=True)
class Collisions:
    """Documents that share their ``_id`` with another one, among those that were read."""

    documents: int
    looked_at: int
    complete: bool


def with_id_from(
    source: BaseDatabaseClient, pairs: Sequence[NamespacePair], rule: str | None
) -> tuple[NamespacePair, ...]:
    """Add to each pair the shard key that its ``_id``s will be made from.

    Raises UsageError if no collection has a shard key besides its ``_id``.
    """
    if rule is None:
        return tuple(pairs)
    if rule != ID_FROM_SHARD_KEY:
        raise UsageError(f"--id-from {rule} is unknown", f"Write --id-from {ID_FROM_SHARD_KEY}")
    changed = tuple(
        pair.model_copy(update={"id_from": source.shared_id_key(pair.source)}) for pair in pairs
    )
    if not any(pair.id_from for pair in changed):
        names = ", ".join(str(pair.source) for pair in pairs)
        raise UsageError(
            f"--id-from {rule} changes nothing: the _ids of {names} are unique",
            "Leave it out",
        )
    return changed


def check_id_from(job: MigrationJob) -> None:
    """Raise UsageError when a rule removes a field that ``--id-from`` needs."""
    taken = [*job.transform.drop, *(old for old, _ in job.transform.rename)]
    for path in {path for pair in job.namespaces for path in pair.id_from}:
        for other in taken:
            if path == other or path.startswith(f"{other}."):
                raise UsageError(
                    f"--id-from {ID_FROM_SHARD_KEY} needs {path!r}, which another rule removes",
                    f"Leave out the rule for {other!r}",
                )


def check_repeated_ids(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    job: MigrationJob,
    new_shard_key: str | None,
) -> None:
    """Raise UsageError when documents of a source would collide at the target.

    ``new_shard_key``: that of created collections. Searches each collection for at most 20 seconds;
    a collision that it misses becomes a recorded failure of the run, so a policy that would mistake
    one document for another is refused.
    """
    for pair in job.namespaces:
        ids = repeated_ids(source, pair.source)
        if ids is None or pair.id_from:
            continue
        paths = _target_key(target, pair.target, new_shard_key)
        if set(ids.shard_key) <= set(paths):
            continue
        found = count_collisions(source, pair, job, paths)
        if found.documents:
            raise UsageError(_sentence(pair, found), _REMEDY)
        if not found.complete and job.on_conflict is not OnConflict.FAIL:
            raise UsageError(
                f"documents of {pair.source} may share their _id, as its shard key is "
                f"{', '.join(ids.shard_key)}, and --on-conflict {job.on_conflict} would keep one "
                f"of them (no two of the first {found.looked_at:,} documents do)",
                "Leave out --on-conflict: documents that collide are then recorded as failures",
            )


def _sentence(pair: NamespacePair, found: Collisions) -> str:
    looked = "all" if found.complete else "the first"
    colliding = counted(
        found.documents, f"document of {pair.source} has", f"documents of {pair.source} have"
    )
    return (
        f"{colliding} the same _id as another one, and {pair.target} can hold each _id only once "
        f"({looked} {found.looked_at:,} documents were checked)"
    )


def _target_key(
    target: BaseDatabaseClient, namespace: Namespace, new_shard_key: str | None
) -> tuple[str, ...]:
    paths = target.shared_id_key(namespace)
    if paths or new_shard_key in (None, "_id"):
        return paths
    return (new_shard_key,) if target.capabilities.shard_key_in_filters else ()


def count_collisions(
    source: BaseDatabaseClient, pair: NamespacePair, job: MigrationJob, paths: Sequence[str]
) -> Collisions:
    """Count documents that share their ``_id`` and their values at ``paths`` with another one.

    Documents come in the order of their ``_id``: only those with equal ones are kept in memory.
    """
    until = time.monotonic() + _COUNTING_SECONDS
    collisions = looked_at = 0
    last: bytes | None = None
    seen: set[bytes] = set()
    for document in _keys(source, pair, job, paths):
        looked_at += 1
        id_ = element_bytes(key_of(document, ID))
        if id_ != last:
            last = id_
            seen.clear()
        values = [value_at(document, path) for path in paths]
        identity = b"".join(element_bytes(value, b"") if value else b"-" for value in values)
        collisions += identity in seen
        seen.add(identity)
        if time.monotonic() > until:
            return Collisions(collisions, looked_at, complete=False)
    return Collisions(collisions, looked_at, complete=True)


def _keys(
    source: BaseDatabaseClient, pair: NamespacePair, job: MigrationJob, paths: Sequence[str]
) -> Iterator[bytes]:
    ids = repeated_ids(source, pair.source)
    fields = {"_id", *paths, *(ids.shard_key if ids else ())}
    reading = SliceSource(
        client=source,
        namespace=pair.source,
        also=parsed_filter(job),
        repeated_ids=ids,
        projection=dict.fromkeys(sorted(fields), 1),
    )
    for slice_ in EACH_TYPE_APART:
        for batch in read_slice(reading, slice_):
            yield from batch.documents()
