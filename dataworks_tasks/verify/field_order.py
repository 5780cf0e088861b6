"""Sort the fields of documents, for collections that do not keep their order."""

from __future__ import annotations

from dataworks_tasks.documents.bson_types import ARRAY, DOCUMENT
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import (
    Element,
    assemble,
    element_bytes,
    elements,
    embedded,
)


def with_sorted_fields(batch: EncodedBatch) -> EncodedBatch:
    """Sort all fields of the documents by name; arrays keep their order.

    A time series may return a document's fields in a different order from the inserted one.
    """
    return EncodedBatch.of(_sorted(document) for document in batch.documents())


def _sorted(document: bytes) -> bytes:
    fields = sorted(elements(document), key=lambda element: element.name)
    return assemble(map(_inner, fields))


def _inner(element: Element) -> bytes:
    if element.type == DOCUMENT:
        return embedded(element.name, _sorted(element.value))
    if element.type == ARRAY:
        members = assemble(map(_inner, elements(element.value)))
        return embedded(element.name, members, array=True)
    return element_bytes(element)
