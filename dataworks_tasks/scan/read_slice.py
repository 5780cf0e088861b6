"""Read a slice in raw batches, even if its cursors are cut."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from bson.timestamp import Timestamp

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.errors import StoreUnavailable, Throttled, TransientError
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.rate_limits.reads import ReadCharge, ReadRateLimiter, rate_limited
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.scan.key_space import (
    ID,
    KeyRange,
    key_of,
    key_ranges_after,
    key_ranges_from,
    query,
)
from dataworks_tasks.scan.repeated_ids import LastGroup, RepeatedIds, told_apart
from dataworks_tasks.scan.slice import Slice, SliceKind, groups_after, groups_through
from dataworks_tasks.store.bounded_reads import find_at_least
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_guard import CheckCollection

_BACKOFF = Backoff()


@dataclass(frozen=True, slots=True)
class SliceSource:
    """A collection to read slices from. ``also`` is a query as BSON that narrows them.

    ``check`` is called before each cursor: a collection that was replaced must not be read.
    ``repeated_ids``: where several documents may have the same ``_id``.
    """

    client: BaseDatabaseClient
    namespace: Namespace
    field: bytes = ID
    also: bytes | None = None
    batch_size: int = 5000
    backoff: Backoff = _BACKOFF
    rate_limiter: ReadRateLimiter | None = None
    check: CheckCollection | None = None
    repeated_ids: RepeatedIds | None = None
    projection: Mapping[str, int] | None = None

    @property
    def simple_order(self) -> bool:
        """Whether strings certainly compare by their bytes."""
        return self.repeated_ids is not None and self.repeated_ids.simple_order

    at_least: Timestamp | None = None
    """Reads are no older than this moment, if the server supports such a bound."""


class SliceInterrupted(StoreUnavailable):
    """The cursor was cut where reading cannot continue by key: the slice has to be read again."""


def read_slice(
    source: SliceSource,
    slice_: Slice,
    after: Element | None = None,
    waiting: Callable[[float], None] = time.sleep,
    through: Element | None = None,
    charged: Callable[[ReadCharge], None] | None = None,
) -> Iterator[EncodedBatch]:
    """Yield the slice's documents in key order, in batches of at most ``source.batch_size``.

    ``after``: skip what was read up to this position of ``PageCutter``; the default is the slice's
    ``completed_to``. ``through``: stop after this ``_id``; not for a slice in insertion order.

    After a cut cursor, a reset connection or a throttled read, reading continues after the last
    document that arrived. Raises StoreUnavailable when that fails through all of the backoff's
    tries, and SliceInterrupted when something was already read and reading cannot continue by key.
    ``waiting`` is called with the seconds of each pause, and may raise to give up; ``charged`` with
    the request units of each page, if the source counts them.
    """
    sort: dict[str, int] = {source.field.decode(): 1}
    options: dict[str, Any] = {"sort": sort}
    if source.projection is not None:
        options["projection"] = source.projection
    after = after or slice_.completed_to
    if slice_.kind is SliceKind.NATURAL:
        options["sort"] = {"$natural": 1}
        reading = _Reading(source, options, waiting, charged)
        yield from (
            _read_key_ranges(reading, []) if after is None else _read_rest_of_capped(reading, after)
        )
        return
    if slice_.kind is SliceKind.RANGE:
        options["hint"] = sort
    groups = slice_.groups(source.field)
    if through is not None:
        groups = groups_through(groups, through)
    for key_ranges in groups if after is None else groups_after(groups, after):
        yield from _read_key_ranges(_Reading(source, options, waiting, charged), key_ranges)


class Page(NamedTuple):
    """Documents as read, and the position to continue after; None where that is impossible."""

    batch: EncodedBatch
    position: Element | None


class PageCutter:
    """Cuts the batches of a slice where reading can continue.

    With a unique ``_id``, that is after every document; otherwise only where the key changes. That
    may become clear only with the next batch's first document, so a page can be empty.
    """

    def __init__(self, source: SliceSource, slice_: Slice) -> None:
        self._field = source.field
        self._simple_order = source.simple_order
        self._anywhere = slice_.kind is SliceKind.NATURAL or (
            source.field == ID and source.repeated_ids is None
        )
        self._last: Element | None = None

    def pages(self, batch: EncodedBatch) -> Iterator[Page]:
        """Yield the next batch in pages."""
        if self._anywhere:
            yield Page(batch, key_of(batch.document(len(batch) - 1), ID))
            return
        first = self._key(batch, 0)
        if self._last is not None and self._apart(self._last, first):
            yield Page(batch.slice(0, 0), self._last)
        last = self._last = self._key(batch, len(batch) - 1)
        start = len(batch) - 1
        before = last
        while start > 0 and (before := self._key(batch, start - 1)) == last:
            start -= 1
        if start > 0 and self._apart(before, last):
            yield Page(batch.slice(0, start), before)
            batch = batch.slice(start, len(batch))
        yield Page(batch, None)

    def _key(self, batch: EncodedBatch, row: int) -> Element:
        return key_of(batch.document(row), self._field)

    def _apart(self, one: Element, other: Element) -> bool:
        return told_apart(one, other, self._simple_order)


@dataclass(frozen=True, slots=True)
class _Reading:
    source: SliceSource
    options: Mapping[str, Any]
    waiting: Callable[[float], None]
    charged: Callable[[ReadCharge], None] | None = None

    def once(self, key_ranges: Sequence[KeyRange], size: int) -> Iterator[EncodedBatch]:
        """Batches of one cursor, of at most ``size`` documents each."""
        source, rate_limiter = self.source, self.source.rate_limiter
        wanted = query(key_ranges, source.field, source.also)
        if source.check is not None:
            source.check()
        failpoint("read.before")
        pages = find_at_least(
            source.client,
            source.namespace,
            wanted,
            source.at_least,
            **self.options,
            batch_size=size,
        )
        if rate_limiter is not None:
            charge = partial(source.client.read_charge, source.namespace.database)
            pages = self._reported(rate_limited(pages, size, rate_limiter, charge, self.waiting))
        for page in pages:
            failpoint("read.after")
            yield EncodedBatch.parse(page)

    def _reported(self, pages: Iterator[tuple[bytes, ReadCharge]]) -> Iterator[bytes]:
        for page, charge in pages:
            if self.charged is not None:
                self.charged(charge)
            yield page

    def page_size(self) -> int:
        """Return how many documents a page should have now."""
        source = self.source
        return (
            source.rate_limiter.max_documents(source.batch_size)
            if source.rate_limiter
            else source.batch_size
        )

    def is_outgrown(self, size: int) -> bool:
        """Return whether ``size`` is far from the right size of a page."""
        return not size / 2 <= self.page_size() <= size * 2


def _read_rest_of_capped(reading: _Reading, completed_to: Element) -> Iterator[EncodedBatch]:
    """Yield what was inserted after the document with this ``_id``; everything, if it is gone.

    This reads the complete collection: a capped collection cannot be searched otherwise.
    """
    found = False
    for batch in _read_key_ranges(reading, []):
        if found:
            yield batch
            continue
        for index in range(len(batch)):
            if key_of(batch.document(index), ID) == completed_to:
                found = True
                if index + 1 < len(batch):
                    yield batch.slice(index + 1, len(batch))
                break
    if not found:
        yield from _read_key_ranges(reading, [])


def _read_key_ranges(reading: _Reading, key_ranges: Sequence[KeyRange]) -> Iterator[EncodedBatch]:
    return _KeyRangeReader(reading, key_ranges).batches()


class _KeyRangeReader:
    """Reads key ranges with as many cursors as needed; each begins where the last one ended."""

    def __init__(self, reading: _Reading, key_ranges: Sequence[KeyRange]) -> None:
        source = reading.source
        self._reading, self._left = reading, key_ranges
        self._by_key = source.field == ID and bool(key_ranges)
        repeated_ids = source.repeated_ids if self._by_key else None
        self._group = LastGroup(repeated_ids) if repeated_ids else None
        self._last: bytes | None = None
        """The last document that the current cursor returned."""
        self._tries = 0

    def batches(self) -> Iterator[EncodedBatch]:
        while True:
            self._last = None
            try:
                is_exhausted = yield from self._read_cursor()
            except TransientError as error:
                self._wait_out(error)
                is_exhausted = False
            if is_exhausted or not self._continue_after_last():
                return

    def _read_cursor(self) -> Generator[EncodedBatch, None, bool]:
        """Yield the batches of one cursor; return whether it returned everything that is left."""
        size = self._reading.page_size()
        for page in self._reading.once(self._left, size):
            batch = page if self._group is None else self._group.unread(page)
            if not len(batch):
                continue
            if self._group is not None:
                self._group.add(batch)
            self._last = batch.document(len(batch) - 1)
            self._tries = 0
            yield batch
            if self._by_key and self._reading.is_outgrown(size):
                return False  # a cursor's pages keep their size: continue with another
        return True

    def _wait_out(self, error: TransientError) -> None:
        """Pause before the next cursor; raise if another one is impossible."""
        if self._last is not None and not self._by_key:
            raise SliceInterrupted(error.fact, error.remedy) from None
        backoff = self._reading.source.backoff
        if self._tries >= backoff.tries and not isinstance(error, Throttled):
            raise error
        delay = error.delay_seconds if isinstance(error, Throttled) else None
        self._reading.waiting(delay or backoff.pause(self._tries))
        self._tries += 1

    def _continue_after_last(self) -> bool:
        """Leave out what was read; return whether anything is left."""
        if self._last is not None:
            after = key_ranges_after if self._group is None else key_ranges_from
            self._left = after(self._left, key_of(self._last, self._reading.source.field))
            return bool(self._left)
        return True
