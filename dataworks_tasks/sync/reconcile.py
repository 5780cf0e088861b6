"""Make the target hold what it should for a list of keys, and check that it still does.

Read the keys, write what they should be, read them again. Keys whose documents changed in between
are returned to the caller: a process that dies before that second read leaves its window to another
one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, assemble, element_bytes, id_element
from dataworks_tasks.errors import NEW_RUN, RunFailed
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.migrate.document_change import DocumentChange, unchanged
from dataworks_tasks.store.bounded_reads import Bound
from dataworks_tasks.store.write_fence import WriteFence
from dataworks_tasks.sync.claims import Claim
from dataworks_tasks.sync.read_before import ReadBefore
from dataworks_tasks.sync.target_keys import TargetCollection, TargetKeys
from dataworks_tasks.sync.wanted import KeyedPage, WantedDocuments, key_bytes


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
    """This process' hold on the window: its claim, the fence of its writes, and when to leave."""

    claim: Claim
    fence: WriteFence | None
    stopped: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class Reconciled:
    """The outcome of reconciling.

    ``changed``: keys whose documents have changed since. ``duplicates``: keys that a unique index
    refused. ``left``: keys that were not reconciled, because this process has to leave.
    """

    replaced: int = 0
    deleted: int = 0
    bytes: int = 0
    changed: list[Element] = field(default_factory=list)
    left: list[Element] = field(default_factory=list)
    duplicates: list[Element] = field(default_factory=list)
    failures: list[DocumentFailure] = field(default_factory=list)


def reconcile(route: KeyRoute, keys: Sequence[Element], hold: Hold) -> Reconciled:
    """Reconcile ``keys``.

    Raises ClaimLost when this process must not write any more, StoreUnavailable when source or
    target does not answer, RunFailed for a strategy that gives documents other keys.
    """
    outcome, names = Reconciled(), [element_bytes(key, b"_id") for key in keys]
    target = TargetKeys(route.target, hold.claim, hold.fence, hold.stopped)
    before = ReadBefore()

    def put(data: bytes) -> list[bytes]:
        page = KeyedPage.parse(data)
        before.keep(data, page)
        outcome.bytes += len(data)
        _put(route, target, data, page, outcome)
        return page.keys

    absent = route.wanted.read(names, route.bound(), put)
    target.write([], absent if route.deletes else [])
    target.close()
    failpoint("reconcile-read.before")
    route.wanted.read(names, route.bound(), before.compare)
    outcome.left = [id_element(key) for key in target.left]
    outcome.changed = [
        key for key in before.changed() if element_bytes(key, b"_id") not in target.left
    ]
    failpoint("reconcile-read.after")
    outcome.replaced, outcome.deleted = target.replaced, target.deleted
    outcome.duplicates += (
        id_element(key) for key, problem in target.problems.items() if problem.is_duplicate
    )
    outcome.failures += (
        _failure(route, key, f"{problem.reason} (code {problem.code})")
        for key, problem in target.problems.items()
    )
    return outcome


def _put(
    route: KeyRoute, target: TargetKeys, data: bytes, page: KeyedPage, outcome: Reconciled
) -> None:
    dropped: list[bytes] = []
    if route.change is unchanged:
        made = page
    else:
        changed = route.change(EncodedBatch.parse(data))
        made = KeyedPage.parse(changed.batch.data)
        refused = {key_bytes(document): reason for document, reason in changed.refused}
        outcome.failures += (_failure(route, key, reason) for key, reason in refused.items())
        kept = refused.keys() | set(made.keys)
        dropped = [key for key in page.keys if key not in kept]
    documents = dict(zip(made.keys, made.documents, strict=True))
    if len(documents) < len(made.keys) or documents.keys() - set(page.keys):
        raise RunFailed(
            f"the run's strategy gives documents of {route.target.namespace} other _ids",
            f"Such a migration cannot be reconciled key by key: {NEW_RUN} with --drop",
        )
    target.write(documents.items(), dropped if route.deletes else [])


def _failure(route: KeyRoute, key: bytes, reason: str) -> DocumentFailure:
    return document_failure(route.target.namespace, assemble([key]), reason)


def failure_keys(route: KeyRoute, keys: Sequence[Element]) -> list[str]:
    """Return the names under which failures of these keys are recorded."""
    return [_failure(route, element_bytes(key, b"_id"), "").key for key in keys]
