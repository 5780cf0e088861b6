"""Compare one slice of the source, as it should have arrived, with the target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from dataworks_tasks.document_comparison import (
    Comparison,
    Difference,
    DocumentComparison,
    first_difference,
)
from dataworks_tasks.encoded_batch import EncodedBatch
from dataworks_tasks.migrate.document_change import DocumentChange
from dataworks_tasks.migrate.read_slice import SliceSource, read_slice
from dataworks_tasks.migrate.slice import Slice
from dataworks_tasks.raw_bson import Element, element_bytes, find_element

T = TypeVar("T")
Stopped = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class VerificationRoute:
    """Both sides of one collection.

    ``keys_stay``: a document has the same key at the target, so both sides are read by range and
    documents that should not be there are seen. Otherwise documents are fetched by their ``_id``.
    """

    source: SliceSource
    change: DocumentChange
    target: SliceSource
    keys_stay: bool


def verify_slice(
    route: VerificationRoute, slice_: Slice, readers: ThreadPoolExecutor, stopped: Stopped
) -> Comparison | None:
    """Compare; None when ``stopped`` said so before the end.

    Raises StoreUnavailable when a side does not answer.
    """
    comparison = DocumentComparison()
    expected = _ahead((route.change(b).batch for b in read_slice(route.source, slice_)), readers)
    if route.keys_stay:
        found = _ahead(read_slice(route.target, slice_), readers)
    for batch in expected:
        if stopped():
            return None
        there = next(found, None) if route.keys_stay else _fetched(route.target, batch)
        comparison.add(batch, there)
    for batch in found if route.keys_stay else ():
        if stopped():
            return None
        comparison.add(None, batch)
    return _explained(route, comparison.result())


def _ahead(batches: Iterator[T], readers: ThreadPoolExecutor) -> Iterator[T]:
    """The same, the next one being read while one is worked on."""
    coming = readers.submit(next, batches, None)
    while (batch := coming.result()) is not None:
        coming = readers.submit(next, batches, None)
        yield batch


def _fetched(target: SliceSource, batch: EncodedBatch) -> EncodedBatch:
    ids = [find_element(document, b"_id") for document in batch.documents()]
    found = target.client.fetch(target.namespace, [id_ for id_ in ids if id_ is not None])
    return EncodedBatch.of(found.values())


def _explained(route: VerificationRoute, comparison: Comparison) -> Comparison:
    """Fetch the documents of differences that were too large to keep, one by one."""
    return Comparison(
        comparison.equal,
        comparison.missing,
        comparison.extra,
        tuple(
            difference if difference.at is not None else _looked_up(route, difference.id)
            for difference in comparison.different
        ),
    )


def _looked_up(route: VerificationRoute, id_: Element) -> Difference:
    expected, found = (
        side.client.fetch(side.namespace, [id_]).get(element_bytes(id_))
        for side in (route.source, route.target)
    )
    if expected is not None:
        changed = route.change(EncodedBatch.of([expected])).batch
        expected = changed.document(0) if len(changed) else None
    if expected is None or found is None or expected == found:
        return Difference(id_, None)
    return Difference(id_, first_difference(expected, found))
