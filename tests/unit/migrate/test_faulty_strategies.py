"""Strategies that break their promises: whose fault each error is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bson
import pytest
from pymongo.errors import AutoReconnect

from dataworks_tasks import BaseMigrationStrategy
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import RunFailed, TransientError
from dataworks_tasks.migrate.document_change import by_strategy

BATCH = EncodedBatch.of(bson.encode({"_id": number}) for number in range(6))
FAULTS = [KeyError("x"), StopIteration(), RuntimeError(), ValueError(), SystemExit(3)]


class Reading(BaseMigrationStrategy):
    """Applies the given function to every document."""

    def __init__(self, read: Any) -> None:
        self._read = read

    def read_batch(self, batch: EncodedBatch) -> Iterator[dict[str, Any]]:
        yield from self._read(list(super().read_batch(batch)))


def _raising(error: BaseException, number: int) -> Any:
    def read(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for document in documents:
            if document["_id"] == number:
                raise error
            yield document

    return read


@pytest.mark.parametrize("number", [0, 3, 5])
@pytest.mark.parametrize("error", FAULTS)
def test_one_document_fails_and_the_others_are_written(error: BaseException, number: int) -> None:
    changed = by_strategy(Reading(_raising(error, number)))(BATCH)
    ids = [document["_id"] for document in bson.decode_all(changed.batch.data)]
    assert ids == [other for other in range(6) if other != number]
    [(document, _)] = changed.refused
    assert bson.decode(document)["_id"] == number


@pytest.mark.parametrize("error", [TransientError("later"), AutoReconnect("gone"), MemoryError()])
def test_what_passes_by_itself_is_no_documents_fault(error: Exception) -> None:
    change = by_strategy(Reading(_raising(error, 3)))
    with pytest.raises((TransientError, MemoryError)):
        change(BATCH)


@pytest.mark.parametrize(
    "read",
    [
        lambda documents: documents[1:],
        lambda documents: [*documents, documents[0]],
        lambda _documents: [],
        lambda documents: [documents[0], *documents],
    ],
)
def test_documents_that_are_lost_or_added_stop_the_run(read: Any) -> None:
    with pytest.raises(RunFailed, match="one document for each"):
        by_strategy(Reading(read))(BATCH)


def test_nothing_is_read_of_an_empty_batch() -> None:
    assert by_strategy(Reading(lambda documents: documents))(EncodedBatch.of([])).refused == []
