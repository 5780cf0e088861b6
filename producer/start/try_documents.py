"""Make a few documents before the run, to refuse what cannot be made, stored or repeated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from dataworks_tasks.documents.raw_bson import find_element
from dataworks_tasks.errors import DataWorksError, UsageError
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.fingerprint import probed_indexes

LARGEST_DOCUMENT = 16 * 1024 * 1024
_FIRST_DOCUMENTS = 100
"""The first documents of a generator, in which no _id may repeat."""
_NEVER_AN_ID = {0x04: "an array", 0x06: "undefined", 0x0B: "a regular expression"}
_CLOCK_TICK_SECONDS = 0.002
"""Longer than the resolution of a date in MongoDB."""


@dataclass(frozen=True, slots=True)
class TriedSource:
    """A source of documents, with the name of its collection or generator, and its count."""

    name: str
    documents: DocumentSource
    count: int


def try_documents(sources: Sequence[TriedSource], own_code: bool) -> list[list[bytes]]:
    """Make and return the documents of each source that workers are compared by.

    With ``own_code`` they are made twice, in both orders. Raises UsageError for a document that
    cannot be generated, is too large, or does not repeat.
    """
    tried = []
    for source in sources:
        indexes = probed_indexes(source.count)
        documents = _all_made(source, indexes)
        for index, document in zip(indexes, documents, strict=True):
            if len(document) > LARGEST_DOCUMENT:
                raise UsageError(
                    f"document {index} of {source.name} has {len(document):,} bytes, "
                    f"and MongoDB stores no more than {LARGEST_DOCUMENT:,}",
                    "Make its strings or arrays shorter",
                )
        if own_code:
            time.sleep(_CLOCK_TICK_SECONDS)  # so that a clock read shows another time
            again = [_made(source, index) for index in reversed(indexes)]
            if again[::-1] != documents:
                raise UsageError(
                    f"{source.name} makes a different document each time it is asked for "
                    "the same one: it reads a clock, draws from a random source of its own, "
                    "or keeps state",
                    "Take random values only from self.random and self.fake; docs/python-api.md",
                )
            _check_ids(source)
        tried.append(documents)
    return tried


def _all_made(source: TriedSource, indexes: Sequence[int]) -> list[bytes]:
    try:
        return source.documents.documents_at(indexes)
    except DataWorksError:
        raise
    except Exception:  # noqa: BLE001 - made one by one, to name the document that cannot be made
        return [_made(source, index) for index in indexes]


def _made(source: TriedSource, index: int) -> bytes:
    return made_document(source.documents, index, f"document {index} of {source.name}")


def made_document(source: DocumentSource, index: int, called: str) -> bytes:
    """Make one document. Raises UsageError with ``called`` and the cause if it cannot be made."""
    try:
        return source.generate(index, index + 1).data
    except DataWorksError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise UsageError(f"{called} cannot be generated: {type(error).__name__}: {text}") from error


def _check_ids(source: TriedSource) -> None:
    known: dict[tuple[int, bytes], int] = {}
    for index in range(min(source.count, _FIRST_DOCUMENTS)):
        id_ = find_element(_made(source, index), b"_id")
        if id_ is not None and id_.type in _NEVER_AN_ID:
            raise UsageError(
                f"document {index} of {source.name} has an _id that is {_NEVER_AN_ID[id_.type]}, "
                "and MongoDB stores no such _id",
                "Use a number, a text, an ObjectId or a document",
            )
        key = (id_.type, bytes(id_.value)) if id_ is not None else (0, b"")
        if key in known:
            raise UsageError(
                f"documents {known[key]} and {index} of {source.name} have the same _id",
                "Make _id from document_id, or leave it out: then each document gets its own",
            )
        known[key] = index
