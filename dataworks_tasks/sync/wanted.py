"""What should be at the target for a list of keys: documents of the source, or generated ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import (
    Element,
    assemble,
    element_bytes,
    embedded,
    find_element,
    id_filter,
    ids_filter,
    value_end,
)
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.rate_limits.reads import ReadRateLimiter
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.bounded_reads import find_at_least
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.sync.server_keys import comparison_class

_BYTES_AT_ONCE = 8 << 20

TakeBatch = Callable[[EncodedBatch], None]


class WantedDocuments(Protocol):
    """The documents that a collection of the target should hold, before they are changed."""

    def read(
        self, keys: Sequence[Element], at_least: Timestamp | None, take: TakeBatch
    ) -> list[Element]:
        """Pass the documents with these keys to ``take`` in batches; return the keys without one.

        A document comes once for each key that the server considers equal to its own. Raises
        StoreUnavailable when the source does not answer.
        """


@dataclass(frozen=True, slots=True)
class SourceDocuments(WantedDocuments):
    """Documents of a source collection that match the run's filter.

    ``collated``: its strings compare by a collation. ``limiter``: the budget for reading.
    """

    client: BaseDatabaseClient
    namespace: Namespace
    also: bytes | None = None
    collated: bool = False
    limiter: ReadRateLimiter | None = None

    def read(
        self, keys: Sequence[Element], at_least: Timestamp | None, take: TakeBatch
    ) -> list[Element]:
        found: set[bytes] = set()
        for batch in self._in_budget(keys, at_least):
            found.update(key_bytes(document) for document in batch.documents())
            take(batch)
        missing = [key for key in keys if element_bytes(key, b"_id") not in found]
        if not missing or not found:
            return missing
        return self._really_missing(missing, found, at_least, take)

    def _really_missing(
        self,
        missing: Sequence[Element],
        found: Iterable[bytes],
        at_least: Timestamp | None,
        take: TakeBatch,
    ) -> list[Element]:
        """Look up separately each key that may equal the key of a document that was found."""
        known = {
            comparison_class(Element(id_[0], b"_id", id_[5:]), collated=self.collated)
            for id_ in found
        }
        absent = []
        for key in missing:
            if comparison_class(key, collated=self.collated) in known:
                batches = list(self._find(id_filter(key), at_least))
                for batch in batches:
                    take(batch)
                if batches:
                    continue
            absent.append(key)
        return absent

    def _in_budget(
        self, keys: Sequence[Element], at_least: Timestamp | None
    ) -> Iterator[EncodedBatch]:
        limiter = self.limiter
        if limiter is None:
            yield from self._find(ids_filter(keys), at_least)
            return
        start = 0
        while start < len(keys):
            some = keys[start : start + limiter.max_documents(len(keys))]
            reserved = limiter.reserve(len(some), time.sleep)
            batches = list(self._find(ids_filter(some), at_least))
            page = b"".join(document for batch in batches for document in batch.documents())
            limiter.record(reserved, page, self.client.read_charge(self.namespace.database))
            yield from batches
            start += len(some)

    def _find(self, query: RawBSONDocument, at_least: Timestamp | None) -> Iterator[EncodedBatch]:
        if self.also is not None:
            both = (embedded(b"0", bytes(query.raw)), embedded(b"1", self.also))
            query = RawBSONDocument(assemble([embedded(b"$and", assemble(both), array=True)]))
        pages = find_at_least(self.client, self.namespace, query, at_least)
        first = next(pages, b"")
        if first:
            yield EncodedBatch.parse(first)
            for page in pages:
                yield EncodedBatch.parse(page)


@dataclass(frozen=True, slots=True)
class GeneratedDocuments(WantedDocuments):
    """Documents ``[start, stop)`` of a generation run's part, made again."""

    documents: DocumentSource
    start: int
    stop: int

    def read(
        self, keys: Sequence[Element], _at_least: Timestamp | None, take: TakeBatch
    ) -> list[Element]:
        wanted = {element_bytes(key, b"_id"): key for key in keys}
        start, count = self.start, 1
        while wanted and start < self.stop:
            stop = min(start + count, self.stop)
            batch = self.documents.generate(start, stop)
            found = [each for each in batch.documents() if wanted.pop(key_bytes(each), None)]
            if found:
                take(EncodedBatch.of(found))
            count = max(1, _BYTES_AT_ONCE * len(batch) // max(1, batch.size_bytes))
            start = stop
        return list(wanted.values())


def id_of(document: bytes) -> Element:
    """Return the ``_id`` field. Every stored document has one."""
    id_ = find_element(document, b"_id")
    if id_ is None:
        raise ValueError("a stored document has no _id")
    return id_


def key_bytes(document: bytes) -> bytes:
    """Return the ``_id`` field's bytes."""
    if document.startswith(b"_id\0", 5):  # in the form that servers store
        return document[4 : value_end(document, document[4], 9)]
    return element_bytes(id_of(document))
