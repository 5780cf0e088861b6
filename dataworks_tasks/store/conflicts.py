"""What a duplicate key means: our own document from an earlier try, or somebody else's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bson.raw_bson import RawBSONDocument
from pymongo.errors import PyMongoError

from dataworks_tasks.namespace import Namespace
from dataworks_tasks.raw_bson import Element, element_bytes, find_element, id_filter
from dataworks_tasks.retry_policy import classify
from dataworks_tasks.run_spec import OnConflict
from dataworks_tasks.store.client import BaseDatabaseClient


@dataclass(slots=True)
class SettledDuplicates:
    """``refused``: reasons by position among the documents given."""

    already_there: int = 0
    replaced: int = 0
    skipped: int = 0
    refused: dict[int, str] = field(default_factory=dict)


def settle_duplicates(
    client: BaseDatabaseClient,
    namespace: Namespace,
    documents: Sequence[bytes],
    on_conflict: OnConflict,
) -> SettledDuplicates:
    """Compare documents that met a duplicate key with what the target holds.

    The same bytes mean that an earlier try wrote it: success. Anything else goes by the policy.
    """
    settled = SettledDuplicates()
    ids = [_id_of(document) for document in documents]
    present = client.fetch(namespace, ids)
    for position, (document, id_) in enumerate(zip(documents, ids, strict=True)):
        there = present.get(element_bytes(id_))
        if there is None:
            there = _equal_id(client, namespace, id_)
        if there == document:
            settled.already_there += 1
        elif there is None:
            settled.refused[position] = "another document has the same value in a unique index"
        elif on_conflict is OnConflict.SKIP:
            settled.skipped += 1
        elif on_conflict is OnConflict.REPLACE:
            _replace(client, namespace, id_, document)
            settled.replaced += 1
        else:
            settled.refused[position] = "the target holds another document with this _id"
    return settled


def _id_of(document: bytes) -> Element:
    id_ = find_element(document, b"_id")
    if id_ is None:
        raise ValueError("a document without _id cannot be a duplicate of one that is known")
    return id_


def _equal_id(client: BaseDatabaseClient, namespace: Namespace, id_: Element) -> bytes | None:
    """The document whose ``_id`` is equal but of another type, as 1 and 1.0 are."""
    for data in client.find_raw(namespace, id_filter(id_), limit=1):
        return data
    return None


def _replace(
    client: BaseDatabaseClient, namespace: Namespace, id_: Element, document: bytes
) -> None:
    try:
        client.collection(namespace).replace_one(id_filter(id_), RawBSONDocument(document))
    except PyMongoError as error:
        raise classify(error) from None
