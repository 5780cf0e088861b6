"""Read a slice in raw batches, whatever becomes of its cursors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.errors import StoreUnavailable, Throttled, TransientError
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.rate_limits.reads import ReadCharge, ReadRateLimiter, rate_limited
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.scan.key_space import ID, KeyRange, key_of, key_ranges_after, query
from dataworks_tasks.scan.slice import Slice, SliceKind, groups_after, groups_through
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_guard import CheckCollection

_BACKOFF = Backoff()
_TOLD_APART_BY_BYTES = frozenset({0x07, 0x09, 0x10, 0x11, 0x12})
"""ObjectId, date, int, timestamp, long: values of one type that differ in bytes differ in order,
whatever the collation. 0.0 and -0.0 do not."""


@dataclass(frozen=True, slots=True)
class SliceSource:
    """A collection to read slices from. ``also`` is a query as BSON that narrows them.

    ``check`` is asked before each cursor: a collection that was replaced must not be read.
    """

    client: BaseDatabaseClient
    namespace: Namespace
    field: bytes = ID
    also: bytes | None = None
    batch_size: int = 5000
    backoff: Backoff = _BACKOFF
    rate_limiter: ReadRateLimiter | None = None
    check: CheckCollection | None = None


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
    """The slice's documents in key order, as batches of at most ``source.batch_size``.

    ``after``: leave out what was read up to this position of ``resumable_pages``; the slice's
    ``completed_to`` where nothing is given. ``through``: stop after this ``_id``; not for a slice
    in insertion order.
    After a cut cursor, a reset connection or a throttled read, reading continues after the last
    document that arrived. Raises StoreUnavailable when that fails through all of the backoff's
    tries, and SliceInterrupted when something was read already but reading cannot continue by key.
    ``waiting`` is called with the seconds of each pause, and may raise to give up; ``charged`` with
    the request units of each page, where the source counts them.
    """
    sort: dict[str, int] = {source.field.decode(): 1}
    options: dict[str, Any] = {"sort": sort}
    after = after or slice_.completed_to
    if slice_.kind is SliceKind.NATURAL:
        options["sort"] = {"$natural": 1}
        reading = _Reading(source, options, waiting, charged)
        yield from _read_key_ranges(reading, []) if after is None else _read_behind(reading, after)
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


def resumable_pages(batch: EncodedBatch, slice_: Slice, field: bytes) -> Iterator[Page]:
    """Cut a batch of the slice where reading can continue.

    By ``_id`` that is after every document, by another field only where its value changes.
    """
    last = len(batch) - 1
    if field == ID or slice_.kind is SliceKind.NATURAL:
        yield Page(batch, key_of(batch.document(last), ID))
        return
    key = before = key_of(batch.document(last), field)
    start = last
    while start > 0 and (before := key_of(batch.document(start - 1), field)) == key:
        start -= 1
    if start > 0 and before.type == key.type and key.type in _TOLD_APART_BY_BYTES:
        yield Page(batch.slice(0, start), before)
        batch = batch.slice(start, len(batch))
    yield Page(batch, None)


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
        pages = source.client.find_raw(source.namespace, wanted, **self.options, batch_size=size)
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
        """How many documents a page should have now."""
        source = self.source
        return (
            source.rate_limiter.max_documents(source.batch_size)
            if source.rate_limiter
            else source.batch_size
        )

    def is_outgrown(self, size: int) -> bool:
        """Whether pages of ``size`` documents are far from what they should be."""
        return not size / 2 <= self.page_size() <= size * 2


def _read_behind(reading: _Reading, completed_to: Element) -> Iterator[EncodedBatch]:
    """What was inserted after the document with this ``_id``; everything, if it is gone.

    All of it is read for that: a capped collection has no other way in.
    """
    behind = False
    for batch in _read_key_ranges(reading, []):
        if behind:
            yield batch
            continue
        for place in range(len(batch)):
            if key_of(batch.document(place), ID) == completed_to:
                behind = True
                if place + 1 < len(batch):
                    yield batch.slice(place + 1, len(batch))
                break
    if not behind:
        yield from _read_key_ranges(reading, [])


def _read_key_ranges(reading: _Reading, key_ranges: Sequence[KeyRange]) -> Iterator[EncodedBatch]:
    by_key = reading.source.field == ID and bool(key_ranges)
    backoff = reading.source.backoff
    tries = 0
    while True:
        last: bytes | None = None
        size = reading.page_size()
        try:
            for batch in reading.once(key_ranges, size):
                last = batch.document(len(batch) - 1)
                tries = 0
                yield batch
                if by_key and reading.is_outgrown(size):
                    break  # a cursor's pages keep their size: continue with another
            else:
                return
        except TransientError as error:
            if last is not None and not by_key:
                raise SliceInterrupted(error.fact, error.remedy) from None
            if tries >= backoff.tries and not isinstance(error, Throttled):
                raise
            delay = error.delay_seconds if isinstance(error, Throttled) else None
            reading.waiting(delay or backoff.pause(tries))
            tries += 1
        if last is not None:
            key_ranges = key_ranges_after(key_ranges, key_of(last, reading.source.field))
            if not key_ranges:
                return
