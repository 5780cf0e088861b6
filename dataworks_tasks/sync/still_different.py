"""Compare a list of keys once more, after they were reconciled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import (
    Element,
    assemble,
    element_bytes,
    keys_filter,
)
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.store.bounded_reads import find_at_least, now_at
from dataworks_tasks.sync.reconcile import KeyRoute
from dataworks_tasks.sync.wanted import KeyedPage, key_bytes


def still_different(
    route: KeyRoute,
    keys: Sequence[Element],
    left_out: Sequence[str] = (),
    *,
    deletes: bool = True,
    twice: bool = False,
) -> Iterator[DocumentFailure]:
    """Yield a failure for each key whose document at the target is wrong.

    ``left_out``: fields that are computed after the documents. ``twice``: also accept the source's
    document from after the target was read.
    """
    names = [element_bytes(key, b"_id") for key in keys]
    expected = _expected(route, names)
    found = dict(_at_the_target(route, names, left_out))
    later = _expected(route, names) if twice else expected
    for key in dict.fromkeys((*expected, *found)):
        if found.get(key) not in (expected.get(key), later.get(key)):
            reason = _reason(key in expected, key in found, deletes=deletes)
            yield document_failure(route.target.namespace, assemble([key]), reason)


def _expected(route: KeyRoute, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    expected: dict[bytes, bytes] = {}

    def take(data: bytes) -> list[bytes]:
        changed = route.change(EncodedBatch.parse(data)).batch
        expected.update((key_bytes(document), document) for document in changed.documents())
        return KeyedPage.parse(data).keys

    route.wanted.read(keys, route.bound(), take)
    return expected


def _reason(is_expected: bool, is_found: bool, *, deletes: bool) -> str:
    if not is_found:
        return "still missing at the target"
    if is_expected:
        return "still differs"
    if deletes:
        return "still there, and it should not be"
    return "should not be there; delete such documents with --delete-extra"


def _at_the_target(
    route: KeyRoute, keys: Sequence[bytes], left_out: Sequence[str]
) -> Iterator[tuple[bytes, bytes]]:
    client = route.target.client
    options = {"projection": dict.fromkeys(left_out, 0)} if left_out else {}
    where, query = route.target.namespace, keys_filter(keys)
    for page in find_at_least(client, where, query, now_at(client), **options):
        for document in EncodedBatch.parse(page).documents():
            yield key_bytes(document), document
