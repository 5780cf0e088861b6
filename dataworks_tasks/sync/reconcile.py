"""Make the target hold what it should for a list of keys, and check that it still does.

Read the keys, write what they should be, read them again. Keys whose documents changed in between
are returned to the caller: a process that dies before that second read leaves its window to another
one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, assemble, element_bytes
from dataworks_tasks.errors import NEW_RUN, RunFailed
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.migrate.document_change import DocumentChange
from dataworks_tasks.store.bounded_reads import Bound
from dataworks_tasks.store.write_fence import WriteFence
from dataworks_tasks.sync.claims import Claim
from dataworks_tasks.sync.target_keys import TargetCollection, TargetKeys
from dataworks_tasks.sync.wanted import WantedDocuments, id_of, key_bytes

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class KeyRoute:
    """Where a collection's keys are read and written, and what happens on the way.

    ``bound``: a read that begins now must not be older than this moment. ``deletes``: whether a key
    that should not exist is deleted.
    """

    wanted: WantedDocuments
    change: DocumentChange
    target: TargetCollection
    bound: Bound
    deletes: bool = True


class Hold(NamedTuple):
    """This process' hold on the window: its claim, the fence of its writes, and when to give up."""

    claim: Claim
    fence: WriteFence | None
    stopped: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class Reconciled:
    """The outcome of reconciling.

    ``changed``: keys whose documents have changed since. ``duplicates``: keys that a unique index
    refused.
    """

    replaced: int = 0
    deleted: int = 0
    bytes: int = 0
    changed: list[Element] = field(default_factory=list)
    duplicates: list[Element] = field(default_factory=list)
    failures: list[DocumentFailure] = field(default_factory=list)


def reconcile(route: KeyRoute, keys: Sequence[Element], hold: Hold) -> Reconciled:
    """Reconcile ``keys``.

    Raises ClaimLost when this process must not write any more, StoreUnavailable when source or
    target does not answer, RunFailed for a strategy that gives documents other keys.
    """
    outcome = Reconciled()
    target = TargetKeys(route.target, hold.claim, hold.fence, hold.stopped)
    before: dict[bytes, bytes] = {}

    def put(batch: EncodedBatch) -> None:
        for document in batch.documents():
            before[key_bytes(document)] = digest(document)
        outcome.bytes += batch.size_bytes
        _put(route, target, batch, outcome)

    absent = route.wanted.read(keys, route.bound(), put)
    target.write([], absent if route.deletes else [])
    target.close()
    failpoint("reconcile-read.before")
    outcome.changed = _changed(route, keys, before)
    failpoint("reconcile-read.after")
    outcome.replaced, outcome.deleted = target.replaced, target.deleted
    outcome.duplicates += (
        Element(key[0], b"_id", key[5:])
        for key, problem in target.problems.items()
        if problem.is_duplicate
    )
    outcome.failures += (
        _failure(route, key, f"{problem.reason} (code {problem.code})")
        for key, problem in target.problems.items()
    )
    return outcome


def _put(route: KeyRoute, target: TargetKeys, batch: EncodedBatch, outcome: Reconciled) -> None:
    changed = route.change(batch)
    outcome.failures += (
        _failure(route, key_bytes(document), reason) for document, reason in changed.refused
    )
    documents = {key_bytes(document): document for document in changed.batch.documents()}
    sources = {key_bytes(document): id_of(document) for document in batch.documents()}
    if len(documents) < len(changed.batch) or documents.keys() - sources.keys():
        raise RunFailed(
            f"the run's strategy gives documents of {route.target.namespace} other _ids",
            f"Such a migration cannot be reconciled key by key: {NEW_RUN} with --drop",
        )
    refused = {key_bytes(document) for document, _ in changed.refused}
    dropped = [sources[key] for key in sources.keys() - documents.keys() - refused]
    target.write(
        [(sources[key], document) for key, document in documents.items()],
        dropped if route.deletes else [],
    )


def _changed(route: KeyRoute, keys: Sequence[Element], before: dict[bytes, bytes]) -> list[Element]:
    """Return the keys whose documents, read after the write, differ from the written ones."""
    after: dict[bytes, bytes] = {}

    def compare(batch: EncodedBatch) -> None:
        for document in batch.documents():
            after[key_bytes(document)] = digest(document)

    route.wanted.read(keys, route.bound(), compare)
    return [
        Element(key[0], b"_id", key[5:])
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    ]


def digest(document: bytes) -> bytes:
    """Return a digest by which a document is compared without being kept."""
    return blake2b(document, digest_size=_DIGEST_BYTES).digest()


def _failure(route: KeyRoute, key: bytes, reason: str) -> DocumentFailure:
    return document_failure(route.target.namespace, assemble([key]), reason)


def failure_keys(route: KeyRoute, keys: Sequence[Element]) -> list[str]:
    """Return the names under which failures of these keys are recorded."""
    return [_failure(route, element_bytes(key, b"_id"), "").key for key in keys]
