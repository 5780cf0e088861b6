"""Compare one slice of the source, changed as the run does, with the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, find_element
from dataworks_tasks.migrate.deadly_document import CarefulSteps
from dataworks_tasks.migrate.document_change import DocumentChange
from dataworks_tasks.migrate.rules import rule_counters
from dataworks_tasks.scan.read_slice import Page, PageCutter, SliceSource, read_slice
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
    surplus documents are seen. Otherwise documents are fetched by their ``_id``.
    """

    source: SliceSource
    change: DocumentChange
    target: SliceSource
    keys_stay: bool


class SliceVerification:
    """A slice being compared. It knows its progress: another process can continue from there."""

    def __init__(
        self, route: VerificationRoute, slice_: Slice, readers: ThreadPoolExecutor
    ) -> None:
        self.slice = slice_
        self._readers = readers
        self._route = route
        self._progress = SliceProgress[Comparison](slice_)
        self._rules: Counter[str] = Counter()  # of the parts that are not handed out yet
        self._by_range = route.keys_stay and slice_.kind is not SliceKind.NATURAL
        self._careful = CarefulSteps(slice_.documents_at_once)

    @property
    def pauses(self) -> bool:
        """Whether ``run`` stops after a few documents, to be called again."""
        return self._careful.size is not None

    def run(self, stopped: Stopped) -> bool:
        """Compare what is left; False when it was stopped before the end.

        Raises StoreUnavailable when a side does not answer.
        """
        self._progress.begin()
        self._rules.clear()
        if self._route.keys_stay and not self._by_range and not self.pauses:
            return self._compare_side_by_side(stopped)
        after = self._progress.completed_to
        source, comparison = self._route.source, self._new_comparison()
        cutter = PageCutter(source, self.slice)
        for batch in _ahead(read_slice(source, self.slice, after), self._readers):
            for page in self._pages(cutter, batch):
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
                if self.pauses and self._is_to_be_recorded(page):
                    return False
        self._end(comparison, None, after, None)
        return True

    def part(self) -> tuple[Comparison, bytes] | None:
        """Return what was compared since the last call, and the rest; None: nothing."""
        part = self._progress.part()
        return (_together(part[0]), part[1]) if part else None

    def last_part(self) -> Comparison:
        """Return what was compared since the last call, after ``run`` has returned."""
        return _together(self._progress.last_part())

    def _pages(self, cutter: PageCutter, batch: EncodedBatch) -> Iterator[Page]:
        """Yield a batch in parts after which reading can continue; in careful steps, small ones."""
        most = self._progress.slice.documents_at_once or len(batch)
        for part in batch.split(most, batch.size_bytes) if most < len(batch) else [batch]:
            yield from cutter.pages(part)

    def _is_to_be_recorded(self, page: Page) -> bool:
        """Return whether a part has to be recorded before the next documents are compared."""
        self._careful.completed += len(page.batch)
        if page.position is None:
            return False
        if self._careful.are_enough:
            self._progress.hurry()
        return True

    def _changed(self, batch: EncodedBatch) -> EncodedBatch:
        if not len(batch):
            return batch
        changed = self._route.change(batch)
        self._rules.update(dict(rule_counters(changed.rules)))
        return changed.batch

    def _add(self, comparison: Comparison, position: Element | None) -> None:
        """Add a comparison, with the counts of the rules."""
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
        """Compare with the target up to ``position``; None: up to the slice's end."""
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
        """Compare collections in insertion order: neither side can be read up to a key."""
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


def not_compared(
    route: VerificationRoute, slice_: Slice, documents: Sequence[bytes], through: Element | None
) -> Comparison:
    """Return the result for documents that cannot be compared, and for the keys up to theirs.

    ``through``: where reading continues after them; None if they are the last ones of the slice.
    """
    target = route.target
    ids = [id_ for id_ in (find_element(each, b"_id") for each in documents) if id_]
    if route.keys_stay and slice_.kind is not SliceKind.NATURAL:
        batches = read_slice(target, slice_, through=through)
        there = [each for batch in batches for each in batch.documents()]
    else:
        there = list(target.client.fetch(target.namespace, ids))
    found = [id_ for id_ in (find_element(each, b"_id") for each in there) if id_]
    return Comparison(
        0,
        missing=tuple(id_ for id_ in ids if id_ not in found),
        extra=tuple(id_ for id_ in found if id_ not in ids),
        different=tuple(Difference(id_, None) for id_ in ids if id_ in found),
    )


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
