"""Replace the document with the same ``_id``, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.raw_bson import elements
from dataworks_tasks.errors import StoreUnavailable, TerminalError, Throttled
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient, write_concern_document
from dataworks_tasks.store.driver_errors import passes, retry_after_seconds
from dataworks_tasks.store.retrying import retry_transient
from dataworks_tasks.store.write_outcome import DUPLICATE_KEY, THROTTLED

_OPERATOR = b"$"
_ID_ALONE = {"_id": 1}
_IMMUTABLE_FIELD = 66


def replace_document(
    client: BaseDatabaseClient,
    namespace: Namespace,
    query: Mapping[str, Any],
    document: bytes,
    write_concern: str,
) -> str | None:
    """Replace the document that matches, or insert it; return the reason if the server refuses it.

    A refusal concerns this document only, so it is not raised. Transient errors are retried. Raises
    StoreUnavailable if they last, and SettingsError if the user may not write.
    """
    update = _update(client, document)
    if update is None:
        return "the server cannot replace a document that has a field whose name begins with $"
    return write_update(client, namespace, query, update, write_concern)


def write_update(
    client: BaseDatabaseClient,
    namespace: Namespace,
    query: Mapping[str, Any],
    update: object,
    write_concern: str,
) -> str | None:
    """Update the document that matches, or insert it. See ``replace_document``."""
    command = {
        "update": namespace.collection,
        "updates": [{"q": query, "u": update, "upsert": True}],
        "writeConcern": write_concern_document(write_concern),
    }

    def once() -> str | None:
        try:
            reply = client.command(namespace.database, command)
        except TerminalError as error:
            return error.fact
        return _refusal(reply, namespace)

    return retry_transient(once)


def literally(document: bytes) -> list[Mapping[str, Any]]:
    """Return an update that keeps every byte, even operators in names and empty timestamps."""
    return [{"$replaceWith": {"$literal": RawBSONDocument(document)}}]


def _update(client: BaseDatabaseClient, document: bytes) -> object:
    """Return None if the server has no update that means exactly this document."""
    if not any(element.name.startswith(_OPERATOR) for element in elements(document)):
        return RawBSONDocument(document)
    return literally(document) if client.capabilities.pipeline_updates else None


def _refusal(reply: Mapping[str, Any], namespace: Namespace) -> str | None:
    """Return why the server refuses the document. Raises TransientError for transient errors."""
    errors = reply.get("writeErrors") or ()
    problem = errors[0] if errors else reply.get("writeConcernError")
    if problem is None:
        return None
    message, code = str(problem.get("errmsg", "")), int(problem.get("code", 0))
    if code == THROTTLED:
        raise Throttled(
            "the request rate of the database is exceeded", "", retry_after_seconds(message)
        )
    if not errors or passes(code, message) or _met_another_insert(problem):
        raise StoreUnavailable(f"{namespace} did not complete the write of a document: {message}")
    if code == _IMMUTABLE_FIELD and "'_id'" in message:
        return (
            "the target holds this _id in another spelling, which its collation takes for equal, "
            "and a replacement cannot change it: verify --repair can"
        )
    return f"{message} (code {code})"


def _met_another_insert(problem: Mapping[str, Any]) -> bool:
    """Return whether another write inserted the ``_id`` after the server had not found it."""
    return problem.get("code") == DUPLICATE_KEY and problem.get("keyPattern") == _ID_ALONE
