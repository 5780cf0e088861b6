"""Compare one slice of the source, as it should have arrived, with the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, find_element
from dataworks_tasks.migrate.document_change import DocumentChange
from dataworks_tasks.migrate.rules import rule_counters
from dataworks_tasks.scan.read_slice import PageCutter, SliceSource, read_slice
from dataworks_tasks.scan.slice import Slice, SliceKind
from dataworks_tasks.scan.slice_pool import Stopped
from dataworks_tasks.scan.slice_progress import SliceProgress
from dataworks_tasks.verify.comparison import (
    Comparison,
    Difference,
    DocumentComparison,
    first_difference,
)

T = TypeVar("T")


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
        self._rules: Counter[str] = Counter()  # of what is not handed out yet
        self._by_range = route.keys_stay and slice_.kind is not SliceKind.NATURAL

    def run(self, stopped: Stopped) -> bool:
        """Compare what is left; False when it was stopped before the end.

        Raises StoreUnavailable when a side does not answer.
        """
        self._progress.begin()
        self._rules.clear()
        if self._route.keys_stay and not self._by_range:
            return self._compare_side_by_side(stopped)
        after = self._progress.completed_to
        source, comparison = self._route.source, self._new_comparison()
        cutter = PageCutter(source, self.slice)
        for batch in _ahead(read_slice(source, self.slice, after), self._readers):
            for page in cutter.pages(batch):
                if stopped():
                    return False
                expected = self._changed(page.batch)
                if not self._by_range:
                    comparison.add(expected, _fetched(self._route.target, expected))
                elif page.position is None:
                    comparison.add(expected, None)
                if page.position is not None:
                    self._end(comparison, expected, after, page.position)
                    after, comparison = page.position, self._new_comparison()
        self._end(comparison, None, after, None)
        return True

    def part(self) -> tuple[Comparison, bytes] | None:
        """Return what was compared since the last call, and the rest; None: nothing."""
        part = self._progress.part()
        return (_together(part[0]), part[1]) if part else None

    def last_part(self) -> Comparison:
        """Return what was compared since the last call, after ``run`` has returned."""
        return _together(self._progress.last_part())

    def _changed(self, batch: EncodedBatch) -> EncodedBatch:
        if not len(batch):
            return batch
        changed = self._route.change(batch)
        self._rules.update(dict(rule_counters(changed.rules)))
        return changed.batch

    def _add(self, comparison: Comparison, position: Element | None) -> None:
        """Hand out a comparison with what the rules did for it."""
        rules, self._rules = self._rules, Counter()
        self._progress.add(replace(comparison, rules=rules), position)

    def _new_comparison(self) -> DocumentComparison:
        sides = self._route.source, self._route.target
        return DocumentComparison(repeated_ids=any(side.repeated_ids for side in sides))

    def _end(
        self,
        comparison: DocumentComparison,
        expected: EncodedBatch | None,
        after: Element | None,
        position: Element | None,
    ) -> None:
        """Compare with what the target holds up to ``position``; None: up to the slice's end."""
        if self._by_range:
            found = read_slice(self._route.target, self.slice, after, through=position)
            comparison.add(expected, next(found, None))
            for batch in found:
                comparison.add(None, batch)
        result = _explained(self._route, comparison.result())
        if not self._by_range:
            result = replace(result, extra=())  # documents that were fetched along with others
        self._add(result, position)

    def _compare_side_by_side(self, stopped: Stopped) -> bool:
        """Compare what keeps insertion order: neither side can be read up to a key."""
        comparison, route, readers = self._new_comparison(), self._route, self._readers
        changed = map(self._changed, read_slice(route.source, self.slice))
        found = _ahead(read_slice(route.target, self.slice), readers)
        for batch in _ahead(changed, readers):
            if stopped():
                return False
            comparison.add(batch, next(found, None))
        for batch in found:
            if stopped():
                return False
            comparison.add(None, batch)
        self._add(_explained(route, comparison.result()), None)
        return True


def _together(comparisons: list[Comparison]) -> Comparison:
    return Comparison(
        sum(each.equal for each in comparisons),
        tuple(id_ for each in comparisons for id_ in each.missing),
        tuple(id_ for each in comparisons for id_ in each.extra),
        tuple(difference for each in comparisons for difference in each.different),
        sum((Counter(each.rules) for each in comparisons), Counter[str]()),
    )


def _ahead(batches: Iterator[T], readers: ThreadPoolExecutor) -> Iterator[T]:
    """Yield the same batches, reading the next one while the current one is processed."""
    coming = readers.submit(next, batches, None)
    while (batch := coming.result()) is not None:
        coming = readers.submit(next, batches, None)
        yield batch


def _fetched(target: SliceSource, batch: EncodedBatch) -> EncodedBatch:
    ids = [find_element(document, b"_id") for document in batch.documents()]
    return EncodedBatch.of(target.client.fetch(target.namespace, filter(None, ids)))


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
        list(side.client.fetch(side.namespace, [id_])) for side in (route.source, route.target)
    )
    changed = route.change(EncodedBatch.of(expected)).batch
    if len(changed) != 1 or len(found) != 1 or changed.document(0) == found[0]:
        return Difference(id_, None)
    return Difference(id_, first_difference(changed.document(0), found[0]))
