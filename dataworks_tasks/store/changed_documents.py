"""Which documents of a collection changed since a moment, from the change stream of MongoDB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pymongo
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo.errors import OperationFailure, PyMongoError

from dataworks_tasks.documents.raw_bson import find_element
from dataworks_tasks.errors import SettingsError, TerminalError
from dataworks_tasks.runs.namespace import BUCKETS, Namespace
from dataworks_tasks.store.bounded_reads import now_at
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.cluster_time import token_time
from dataworks_tasks.store.driver_errors import classify

MOST_COUNTED = 10_000
HISTORY_LOST = frozenset({286, 280, 260, 136})
"""ChangeStreamHistoryLost, ChangeStreamFatalError, InvalidResumeToken, CappedPositionLost."""
_RAW = CodecOptions[RawBSONDocument](document_class=RawBSONDocument)
_AWAIT_MILLISECONDS = 50


@dataclass(frozen=True, slots=True)
class ChangedDocuments:
    """How many documents changed, at most ``MOST_COUNTED``; None if unknown, for ``reason``."""

    count: int | None
    reason: str = ""


def changed_documents(
    client: BaseDatabaseClient, namespace: Namespace, after: Timestamp, seconds: float
) -> ChangedDocuments:
    """Count the documents of a replica set's collection that changed after ``after`` until now.

    The server reads its history of all collections from there on, for at most ``seconds``. Raises
    StoreUnavailable for transient errors.
    """
    if namespace.collection.startswith(BUCKETS):
        return ChangedDocuments(None, "a time series has no change stream")
    until = now_at(client)
    if until is None:
        return ChangedDocuments(None, "a server that is not in a replica set keeps no history")
    try:
        with pymongo.timeout(seconds):
            return ChangedDocuments(_count(client, namespace, after, until))
    except PyMongoError as error:
        return ChangedDocuments(None, _reason(error))


def _count(
    client: BaseDatabaseClient, namespace: Namespace, after: Timestamp, until: Timestamp
) -> int:
    pipeline: list[Mapping[str, Any]] = [
        {"$match": {"clusterTime": {"$gt": after}}},
        {"$project": {"documentKey": 1}},
    ]
    database = client.without_timeout.get_database(namespace.database, codec_options=_RAW)
    changed: set[bytes] = set()
    with database.get_collection(namespace.collection).watch(
        pipeline,
        start_at_operation_time=after,
        max_await_time_ms=_AWAIT_MILLISECONDS,
    ) as stream:
        while stream.alive and len(changed) < MOST_COUNTED:
            event: Any = stream.try_next()
            if event is not None:
                # An event of the collection itself, such as a rename, has no key: it counts as one.
                key = find_element(bytes(event.raw), b"documentKey")
                changed.add(key.value if key is not None else b"")
                continue
            token: Any = stream.resume_token
            if token and token_time(bytes(token.raw)) >= until:
                break
    return len(changed)


def _reason(error: PyMongoError) -> str:
    """Return why the history does not answer. Raises StoreUnavailable for transient errors."""
    if error.timeout:
        return "the server's history is too long to be read in time"
    if isinstance(error, OperationFailure) and error.code in HISTORY_LOST:
        return "the server's history does not reach back to the beginning of the run"
    failure = classify(error)
    if isinstance(failure, TerminalError | SettingsError):
        return failure.fact
    raise failure from None
