"""What changes documents between reading and writing: nothing, a strategy, declarative changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

from bson import encode
from pymongo.errors import PyMongoError

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import (
    Element,
    assemble,
    element_bytes,
    elements,
    embedded,
    find_element,
)
from dataworks_tasks.errors import RunFailed, TransientError
from dataworks_tasks.migrate.base import BaseMigrationStrategy, Document
from dataworks_tasks.migrate.lazy_document import DOCUMENTS, LazyDocument
from dataworks_tasks.migrate.rules import RuleOutcome
from dataworks_tasks.store.driver_errors import classify
from dataworks_tasks.store.shard_key import value_at


@dataclass(frozen=True, slots=True)
class Changed:
    """The result of changing a batch. ``refused``: documents of the source, each with the reason.

    ``dropped`` ones are left out on purpose; ``produced`` counts what a strategy made; ``rules``:
    what each rule of the transform did.
    """

    batch: EncodedBatch
    dropped: int = 0
    produced: int = 0
    refused: Sequence[tuple[bytes, str]] = ()
    rules: Sequence[RuleOutcome] = ()


DocumentChange = Callable[[EncodedBatch], Changed]
"""Turns a batch of source documents into what is to be written."""


def unchanged(batch: EncodedBatch) -> Changed:
    """Return the same bytes."""
    return Changed(batch)


def by_strategy(strategy: BaseMigrationStrategy) -> DocumentChange:
    """Build the change that a strategy's ``transform_document`` makes."""
    transform = strategy.transform_document

    def change(batch: EncodedBatch) -> Changed:
        made: list[bytes] = []
        refused: list[tuple[bytes, str]] = []
        dropped = 0
        for source, document in _documents(strategy, batch):
            try:
                if isinstance(document, BaseException):
                    raise document
                result = transform(document)
                if type(result) is LazyDocument and "_id" in result:  # the usual, short way
                    made.append(result.raw)
                    continue
                results = _as_sequence(result)
                encoded = [_encoded(result, n, source) for n, result in enumerate(results)]
            except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything: on record
                _raise_if_it_passes(error)
                refused.append((source, f"the strategy raised {type(error).__name__}: {error}"))
                continue
            dropped += not encoded
            made += encoded
        return Changed(EncodedBatch.of(made), dropped, len(made), refused)

    return change


def _documents(
    strategy: BaseMigrationStrategy, batch: EncodedBatch
) -> Iterator[tuple[bytes, Document | BaseException]]:
    """Yield each raw document with what the strategy reads; one by one if the batch fails.

    Nothing is collected: a document that was just read is still in the processor's cache.
    """
    read = 0
    try:
        reading = iter(strategy.read_batch(batch))
        for pair in zip(batch.documents(), reading, strict=False):  # counted below
            yield pair
            read += 1
    except (Exception, SystemExit) as error:  # noqa: BLE001 - see above: for which document?
        _raise_if_it_passes(error)
    else:
        if read < len(batch) or next(reading, None) is not None:
            raise _miscounted(strategy)
        return
    for source in islice(batch.documents(), read, None):
        yield source, _read_alone(strategy, source)


def _read_alone(strategy: BaseMigrationStrategy, source: bytes) -> Document | BaseException:
    try:
        documents = list(strategy.read_batch(EncodedBatch.of([source])))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - see above
        _raise_if_it_passes(error)
        return error
    if len(documents) != 1:
        raise _miscounted(strategy)
    return documents[0]


def _raise_if_it_passes(error: BaseException) -> None:
    """Raise what is not the document's fault, so that it is tried again."""
    if isinstance(error, TransientError | MemoryError):
        raise error
    if isinstance(error, PyMongoError):
        classified = classify(error)
        if isinstance(classified, TransientError):
            raise classified from None


def _miscounted(strategy: BaseMigrationStrategy) -> RunFailed:
    return RunFailed(
        f"read_batch of the strategy {strategy.name!r} does not return one document "
        "for each document of the batch",
        "To drop documents, or to make several from one, override transform_document",
    )


def _as_sequence(result: Document | Sequence[Document] | None) -> Sequence[Document]:
    if result is None:
        return ()
    return (result,) if isinstance(result, dict) else result


def _encoded(document: Document, position: int, source: bytes) -> bytes:
    if "_id" in document:
        return encode(document, codec_options=DOCUMENTS)
    id_ = find_element(source, b"_id")
    if id_ is None:
        raise ValueError("the source document has no _id")
    if position > 0:
        # Derived, so that a repeated range finds its own documents.
        seed = element_bytes(id_) + position.to_bytes(4, "big")
        id_ = Element(0x07, b"_id", blake2b(seed, digest_size=12).digest())
    body = encode(document, codec_options=DOCUMENTS)
    return assemble([element_bytes(id_, b"_id"), body[4:-1]])


def by_id_from(paths: Sequence[str]) -> DocumentChange:
    """Build the change that replaces each ``_id`` with the old one plus the values at ``paths``.

    ``{_id: 7, tenant: "a"}`` gets the ``_id`` ``{"_id": 7, "tenant": "a"}``; dots in a path become
    underscores, and a path that a document does not have is left out.
    """
    names = [(path, path.replace(".", "_").encode()) for path in paths]

    def change(batch: EncodedBatch) -> Changed:
        return Changed(EncodedBatch.of(_with_id_from(one, names) for one in batch.documents()))

    return change


def _with_id_from(document: bytes, names: Sequence[tuple[str, bytes]]) -> bytes:
    parts: list[bytes] = []
    values = [(name, value_at(document, path)) for path, name in names]
    for element in elements(document):
        if element.name != b"_id":
            parts.append(element_bytes(element))
            continue
        made = [element_bytes(value, name) for name, value in values if value is not None]
        parts.append(embedded(b"_id", assemble([element_bytes(element), *made])))
    return assemble(parts)


def in_turn(first: DocumentChange, second: DocumentChange) -> DocumentChange:
    """Apply two changes, one after the other."""

    def change(batch: EncodedBatch) -> Changed:
        once = first(batch)
        twice = second(once.batch)
        return Changed(
            twice.batch,
            once.dropped + twice.dropped,
            once.produced,
            [*once.refused, *twice.refused],
            twice.rules or once.rules,
        )

    return change
