"""One insert command for a batch, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.errors import DocumentTooLarge, OperationFailure, PyMongoError

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import TOLERANT
from dataworks_tasks.errors import TransientError
from dataworks_tasks.store.driver_errors import classify
from dataworks_tasks.store.write_outcome import (
    THROTTLED,
    TOO_LARGE_FOR_COSMOS,
    WriteOutcome,
    read_reply,
)

_REFUSED_FOR_ONE_DOCUMENT = frozenset(
    {
        15,  # Overflow: nested more deeply than a message may be
        TOO_LARGE_FOR_COSMOS,
        22,  # InvalidBSON
        10334,  # BSONObjectTooLarge
    }
)
"""Codes of a complete command that concern its documents: smaller commands find out which."""
_LONGEST_REASON = 300


class DocumentSequence(RawBSONDocument):
    """Many documents where the driver expects one.

    An OP_MSG document sequence is the documents' bytes end to end, and the driver's encoder copies
    ``raw`` as it is, so a whole batch costs one copy instead of one object a document (measured:
    0.7 us against 5 us a document of 1 KB).
    """

    def __init__(self, batch: EncodedBatch) -> None:
        # The base class would check that the bytes are exactly one document.
        self._sequence = batch.data

    @property
    def raw(self) -> bytes:
        """The documents' bytes."""
        return self._sequence


def send_insert(
    collection: Collection[dict[str, Any]], batch: EncodedBatch, write_concern: Mapping[str, Any]
) -> WriteOutcome:
    """Send one unordered insert command and classify the reply.

    Driver errors about the network or the rate are outcomes, not exceptions. Raises SettingsError
    or TerminalError where trying again cannot help.
    """
    command = {
        "insert": collection.name,
        "ordered": False,
        "writeConcern": dict(write_concern),
        "documents": [DocumentSequence(batch)],
    }
    try:
        reply = collection.database.command(command, codec_options=TOLERANT)
    except DocumentTooLarge as error:
        return WriteOutcome.all_oversize(len(batch), f"too large for the server: {error}")
    except OperationFailure as error:
        return _failed(error, len(batch))
    except PyMongoError as error:
        failure = classify(error)
        if not isinstance(failure, TransientError):
            raise failure from None
        return WriteOutcome.nothing_known(len(batch), str(failure))
    return read_reply(reply, len(batch))


def _failed(error: OperationFailure, count: int) -> WriteOutcome:
    if error.code == THROTTLED:
        return WriteOutcome.all_throttled(count, str(error))
    if error.code in _REFUSED_FOR_ONE_DOCUMENT:
        return WriteOutcome.all_oversize(count, _words(error), error.code)
    failure = classify(error)
    if isinstance(failure, TransientError):
        return WriteOutcome.nothing_known(count, str(failure))
    raise failure from None


def _words(error: OperationFailure) -> str:
    """Return the server's message; it names every level of a deeply nested document."""
    words = str(error).partition(", full error")[0][:_LONGEST_REASON]
    return f"too large for the server: {words}" if error.code == TOO_LARGE_FOR_COSMOS else words
