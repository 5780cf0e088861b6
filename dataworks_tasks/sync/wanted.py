"""What should be at the target for a list of keys: documents of the source, or generated ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple, Protocol

from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp

from dataworks_tasks.documents.raw_bson import (
    FIXED_SIZES,
    Element,
    assemble,
    element_bytes,
    embedded,
    find_element,
    id_element,
    id_filter,
    keys_filter,
    value_end,
)
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.faulty_documents import generate_around_faults
from dataworks_tasks.rate_limits.reads import ReadRateLimiter
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.bounded_reads import find_at_least
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.sync.server_keys import comparison_class

_BYTES_AT_ONCE = 8 << 20
_ID, _TO_ID = b"_id\0", 5
_length_at = Struct("<i").unpack_from

TakePage = Callable[[bytes], Iterable[bytes]]
"""Takes documents end to end, and returns their keys."""


class KeyedPage(NamedTuple):
    """Documents of a read, each with its key: the bytes of its ``_id`` field."""

    keys: list[bytes]
    documents: list[bytes]

    @classmethod
    def parse(cls, data: bytes) -> KeyedPage:
        """Take documents apart that are laid end to end."""
        keys: list[bytes] = []
        documents: list[bytes] = []
        position, end, fixed = 0, len(data), FIXED_SIZES.get
        while position < end:
            stop = position + _length_at(data, position)[0]
            document = data[position:stop]
            size = fixed(document[4]) if document.startswith(_ID, _TO_ID) else None
            keys.append(key_bytes(document) if size is None else document[4 : 9 + size])
            documents.append(document)
            position = stop
        return cls(keys, documents)


class WantedDocuments(Protocol):
    """The documents that a collection of the target should hold, before they are changed."""

    def read(
        self, keys: Sequence[bytes], at_least: Timestamp | None, take: TakePage
    ) -> list[bytes]:
        """Pass the documents with these keys to ``take`` in pages; return the keys without one.

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
        self, keys: Sequence[bytes], at_least: Timestamp | None, take: TakePage
    ) -> list[bytes]:
        found: set[bytes] = set()
        for page in self._in_budget(keys, at_least):
            found.update(take(page))
        missing = [key for key in keys if key not in found]
        if not missing or not found:
            return missing
        return self._really_missing(missing, found, at_least, take)

    def _really_missing(
        self,
        missing: Sequence[bytes],
        found: Collection[bytes],
        at_least: Timestamp | None,
        take: TakePage,
    ) -> list[bytes]:
        """Look up separately each key that may equal the key of a document that was found."""
        known = {comparison_class(id_element(key), collated=self.collated) for key in found}
        absent = []
        for key in missing:
            asked = id_element(key)
            if comparison_class(asked, collated=self.collated) in known:
                pages = list(self._find(id_filter(asked), at_least))
                for page in pages:
                    take(page)
                if pages:
                    continue
            absent.append(key)
        return absent

    def _in_budget(self, keys: Sequence[bytes], at_least: Timestamp | None) -> Iterator[bytes]:
        limiter = self.limiter
        if limiter is None:
            yield from self._find(keys_filter(keys), at_least, len(keys))
            return
        start = 0
        while start < len(keys):
            some = keys[start : start + limiter.max_documents(len(keys))]
            reserved = limiter.reserve(len(some), time.sleep)
            page = b"".join(self._find(keys_filter(some), at_least, len(some)))
            limiter.record(reserved, page, self.client.read_charge(self.namespace.database))
            if page:
                yield page
            start += len(some)

    def _find(
        self, query: RawBSONDocument, at_least: Timestamp | None, most: int = 1
    ) -> Iterator[bytes]:
        """Yield pages of what matches; ``most`` documents come in one, as far as a reply goes."""
        if self.also is not None:
            both = (embedded(b"0", bytes(query.raw)), embedded(b"1", self.also))
            query = RawBSONDocument(assemble([embedded(b"$and", assemble(both), array=True)]))
        # One more than there can be: the server then knows that it has sent all of them.
        pages = find_at_least(self.client, self.namespace, query, at_least, batch_size=most + 1)
        yield from filter(None, pages)


@dataclass(frozen=True, slots=True)
class GeneratedDocuments(WantedDocuments):
    """Documents ``[start, stop)`` of a generation run's part, made again."""

    documents: DocumentSource
    namespace: Namespace
    start: int
    stop: int

    def read(
        self, keys: Sequence[bytes], _at_least: Timestamp | None, take: TakePage
    ) -> list[bytes]:
        wanted = dict.fromkeys(keys)
        start, count = self.start, 1
        while wanted and start < self.stop:
            stop = min(start + count, self.stop)
            within = BatchRange(start, stop)
            batch = generate_around_faults(self.documents, within, self.namespace).batch
            found = [each for each in batch.documents() if wanted.pop(key_bytes(each), b"") is None]
            if found:
                take(b"".join(found))
            count = max(1, _BYTES_AT_ONCE * len(batch) // max(1, batch.size_bytes))
            start = stop
        return list(wanted)


def id_of(document: bytes) -> Element:
    """Return the ``_id`` field. Every stored document has one."""
    id_ = find_element(document, b"_id")
    if id_ is None:
        raise ValueError("a stored document has no _id")
    return id_


def key_bytes(document: bytes) -> bytes:
    """Return the ``_id`` field's bytes."""
    if document.startswith(_ID, _TO_ID):  # as servers store it
        return document[4 : value_end(document, document[4], 9)]
    return element_bytes(id_of(document))
