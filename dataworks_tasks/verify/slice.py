"""Compare one slice of the source, as it should have arrived, with the target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, element_bytes, find_element
from dataworks_tasks.migrate.document_change import DocumentChange
from dataworks_tasks.scan.read_slice import Page, SliceSource, read_slice, resumable_pages
from dataworks_tasks.scan.slice import Slice, SliceKind
from dataworks_tasks.scan.slice_progress import SliceProgress
from dataworks_tasks.verify.comparison import (
    Comparison,
    Difference,
    DocumentComparison,
    first_difference,
)

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


class SliceVerification:
    """A slice being compared. It knows how far it got: another process can continue from there."""

    def __init__(
        self, route: VerificationRoute, slice_: Slice, readers: ThreadPoolExecutor
    ) -> None:
        self.slice = slice_
        self._readers = readers
        self._route = route
        self._progress = SliceProgress[Comparison](slice_)
        self._by_range = route.keys_stay and slice_.kind is not SliceKind.NATURAL

    def run(self, stopped: Stopped) -> bool:
        """Compare what is left; False when it was stopped before the end.

        Raises StoreUnavailable when a side does not answer.
        """
        self._progress.begin()
        if self._route.keys_stay and not self._by_range:
            return self._compare_side_by_side(stopped)
        after = self._progress.completed_to
        source = self._route.source
        for batch in _ahead(read_slice(source, self.slice, after), self._readers):
            for page in resumable_pages(batch, self.slice, source.field):
                if stopped():
                    return False
                self._compare(page, after)
                after = page.position or after
        if self._by_range:
            rest = read_slice(self._route.target, self.slice, after)
            self._add(EncodedBatch.of([]), rest, None)
        return True

    def part(self) -> tuple[Comparison, bytes] | None:
        """What was compared since this was last asked, and the slice's rest; None: nothing."""
        part = self._progress.part()
        return (_together(part[0]), part[1]) if part else None

    def last_part(self) -> Comparison:
        """What was compared since it was last asked, when ``run`` came to the end."""
        return _together(self._progress.last_part())

    def _compare(self, page: Page, after: Element | None) -> None:
        target = self._route.target
        expected = self._route.change(page.batch).batch
        if self._by_range:
            found = read_slice(target, self.slice, after, through=page.position)
        else:
            found = iter([_fetched(target, expected)])
        self._add(expected, found, page.position)

    def _add(
        self, expected: EncodedBatch, found: Iterator[EncodedBatch], position: Element | None
    ) -> None:
        comparison = DocumentComparison()
        comparison.add(expected, next(found, None))
        for batch in found:
            comparison.add(None, batch)
        self._progress.add(_explained(self._route, comparison.result()), position)

    def _compare_side_by_side(self, stopped: Stopped) -> bool:
        """Compare what keeps insertion order: neither side can be read up to a key."""
        comparison, route, readers = DocumentComparison(), self._route, self._readers
        changed = (route.change(batch).batch for batch in read_slice(route.source, self.slice))
        found = _ahead(read_slice(route.target, self.slice), readers)
        for batch in _ahead(changed, readers):
            if stopped():
                return False
            comparison.add(batch, next(found, None))
        for batch in found:
            if stopped():
                return False
            comparison.add(None, batch)
        self._progress.add(_explained(route, comparison.result()), None)
        return True


def _together(comparisons: list[Comparison]) -> Comparison:
    return Comparison(
        sum(each.equal for each in comparisons),
        tuple(id_ for each in comparisons for id_ in each.missing),
        tuple(id_ for each in comparisons for id_ in each.extra),
        tuple(difference for each in comparisons for difference in each.different),
    )


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
