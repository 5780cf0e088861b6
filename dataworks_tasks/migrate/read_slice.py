"""Read a slice in raw batches, whatever becomes of its cursors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataworks_tasks.encoded_batch import EncodedBatch
from dataworks_tasks.errors import StoreUnavailable, Throttled, TransientError
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.migrate.key_space import ID, Piece, key_of, pieces_after, query
from dataworks_tasks.migrate.slice import Cover, Slice
from dataworks_tasks.namespace import Namespace
from dataworks_tasks.raw_bson import Element
from dataworks_tasks.retry_policy import Backoff
from dataworks_tasks.store.client import BaseDatabaseClient

_BACKOFF = Backoff()


@dataclass(frozen=True, slots=True)
class SliceSource:
    """A collection to read slices from. ``also`` is a query as BSON that narrows them."""

    client: BaseDatabaseClient
    namespace: Namespace
    field: bytes = ID
    also: bytes | None = None
    batch_size: int = 5000
    backoff: Backoff = _BACKOFF


class SliceInterrupted(StoreUnavailable):
    """The cursor was cut where reading cannot go on by key: the slice has to be read again."""


def read_slice(
    source: SliceSource,
    slice_: Slice,
    after: Element | None = None,
    waiting: Callable[[float], None] = time.sleep,
) -> Iterator[EncodedBatch]:
    """The slice's documents in key order, as batches of at most ``source.batch_size``.

    ``after``: leave out what stands up to this key; for slices that ``goes_on_by_key`` only.
    A cut cursor, a reset connection or a throttled read goes on behind the last document that
    arrived. Raises StoreUnavailable when that fails through all of the backoff's tries, and
    SliceInterrupted when something was read already but reading cannot go on by key.
    ``waiting`` is called with the seconds of each pause, and may raise to give up.
    """
    sort: dict[str, int] = {source.field.decode(): 1}
    options: dict[str, Any] = {"sort": sort, "batch_size": source.batch_size}
    if slice_.cover is Cover.NATURAL:
        options["sort"] = {"$natural": 1}
    elif slice_.cover is Cover.RANGE:
        options["hint"] = sort
    for group in slice_.groups(source.field):
        pieces = group if after is None else pieces_after(group, after)
        if pieces or slice_.cover is Cover.NATURAL:
            yield from _read_pieces(_Reading(source, options, waiting), pieces)


def goes_on_by_key(slice_: Slice, field: bytes) -> bool:
    """Whether reading can go on in the middle of the slice, behind a key."""
    return field == ID and slice_.cover in {Cover.RANGE, Cover.ONE_TYPE}


@dataclass(frozen=True, slots=True)
class _Reading:
    source: SliceSource
    options: Mapping[str, Any]
    waiting: Callable[[float], None]

    def once(self, pieces: Sequence[Piece]) -> Iterator[EncodedBatch]:
        """Batches of one cursor."""
        source = self.source
        wanted = query(pieces, source.field, source.also)
        failpoint("read.before")
        for data in source.client.find_raw(source.namespace, wanted, **self.options):
            failpoint("read.after")
            yield EncodedBatch.parse(data)


def _read_pieces(reading: _Reading, pieces: Sequence[Piece]) -> Iterator[EncodedBatch]:
    by_key = reading.source.field == ID and bool(pieces)
    backoff = reading.source.backoff
    tries = 0
    while True:
        last: bytes | None = None
        try:
            for batch in reading.once(pieces):
                last = batch.document(len(batch) - 1)
                tries = 0
                yield batch
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
            pieces = pieces_after(pieces, key_of(last, reading.source.field))
            if not pieces:
                return
