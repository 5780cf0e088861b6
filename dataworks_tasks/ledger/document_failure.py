"""The record of a document that was not written."""

from __future__ import annotations

from hashlib import blake2b

from dataworks_tasks.documents.raw_bson import element_bytes, find_element, shown_id
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.runs.namespace import Namespace

_LONGEST_REASON = 500


def document_failure(
    namespace: Namespace, document: bytes, reason: str, number: int = 0
) -> DocumentFailure:
    """Build the record of a document that was not written.

    Recording the same document again changes nothing. Another document with the same ``_id`` has a
    record of its own. ``number`` distinguishes documents of which only the ``_id`` is known.
    """
    name = document + number.to_bytes(4) if number else document
    digest = blake2b(name, key=str(namespace).encode()[:64], digest_size=12).hexdigest()
    id_ = find_element(document, b"_id")
    bson_id = "" if id_ is None else element_bytes(id_).hex()
    return DocumentFailure(
        digest, shown_id(document), str(namespace), reason[:_LONGEST_REASON], bson_id
    )
