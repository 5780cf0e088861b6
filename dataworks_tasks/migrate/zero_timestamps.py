"""Documents that an insert would change: those with an empty timestamp.

A server that inserts a document replaces ``Timestamp(0, 0)`` with its clock's time if that is the
value of a top-level field other than ``_id``. A pipeline update keeps it.
https://www.mongodb.com/docs/manual/reference/bson-types/#timestamps
"""

from __future__ import annotations

import re

import numpy as np

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import elements
from dataworks_tasks.runs.choices import OnConflict
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.bulk_write import WriteFailure, WritePolicy, WriteResult
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.conflicts import identity_of
from dataworks_tasks.store.replace_document import literally, write_update

_EMPTY = bytes(8)
_NAME_END_AND_EMPTY = bytes(9)
_TIMESTAMP = 0x11
_NOT_ZERO = re.compile(rb"[^\0]")


def with_empty_timestamps(batch: EncodedBatch) -> list[int]:
    """Positions of the documents that an insert would change.

    Searches for eight zeros after the end of a name, then for the type byte before the name; only
    documents with both are parsed. Most batches cost one search.
    """
    data = batch.data
    positions: list[int] = []
    offset = data.find(_NAME_END_AND_EMPTY)
    while offset >= 0:
        end = offset + len(_NAME_END_AND_EMPTY)
        name_start = data.rfind(0, 0, offset) + 1
        if data.find(_TIMESTAMP, name_start, offset) >= 0:
            position = int(np.searchsorted(batch.offsets, offset, side="right")) - 1
            if _has_empty_timestamp(batch.document(position)):
                positions.append(position)
                end = int(batch.offsets[position + 1])
        elif data[end - 1 : end + 1] == b"\0\0":
            # A longer run of zeros: no name ends within it.
            found = _NOT_ZERO.search(data, end)
            end = found.start() if found else len(data)
        offset = data.find(_NAME_END_AND_EMPTY, end)
    return positions


def _has_empty_timestamp(document: bytes) -> bool:
    return _TIMESTAMP in document and any(
        element.type == _TIMESTAMP and element.value == _EMPTY and element.name != b"_id"
        for element in elements(document)
    )


def write_one_by_one(
    client: BaseDatabaseClient, namespace: Namespace, batch: EncodedBatch, policy: WritePolicy
) -> WriteResult:
    """Write documents with updates that keep every byte, by the same rules as ``write_batch``.

    Raises StoreUnavailable when the database does not answer.
    """
    result = WriteResult()
    paths = client.shared_id_key(namespace)
    for position, document in enumerate(batch.documents()):
        query = identity_of(document, paths).query()
        there = next(iter(client.find_all(namespace, query)), None)
        if there is not None and there != document and policy.on_conflict is OnConflict.SKIP:
            result.skipped += 1
        elif there not in (None, document) and policy.on_conflict is OnConflict.FAIL:
            reason = "the target holds another document with this _id"
            result.failures.append(WriteFailure(position, document, reason))
        else:
            # This includes documents that exist already: the answer confirms their write concern.
            problem = write_update(
                client, namespace, query, literally(document), policy.write_concern
            )
            if problem is not None:
                result.failures.append(WriteFailure(position, document, problem))
            elif there is None:
                result.written += 1
            elif there == document:
                result.already_there += 1
            else:
                result.replaced += 1
    return result
