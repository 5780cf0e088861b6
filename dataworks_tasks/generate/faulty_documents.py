"""Continue a range when a generator raises, or repeats an _id, for some of its documents."""

from __future__ import annotations

from dataclasses import dataclass

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import find_element
from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.custom.custom_source import CustomSource
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import Namespace


@dataclass(frozen=True, slots=True)
class MadeDocuments:
    """The documents that could be made, and a failure for each that could not."""

    batch: EncodedBatch
    failures: tuple[DocumentFailure, ...] = ()


def generate_around_faults(
    source: DocumentSource, wanted: BatchRange, namespace: Namespace
) -> MadeDocuments:
    """Generate ``wanted`` (indexes within the collection), one by one if the source raises."""
    try:
        batch = source.generate(wanted.start, wanted.stop)
    except DataWorksError:
        raise
    except Exception:  # noqa: BLE001 - a user's generator may raise anything; each fault is recorded
        return _one_by_one(source, wanted, namespace)
    if isinstance(source, CustomSource):
        return _without_repeated_ids(batch, wanted, namespace)
    return MadeDocuments(batch)


def _without_repeated_ids(
    batch: EncodedBatch, wanted: BatchRange, namespace: Namespace
) -> MadeDocuments:
    """Take out documents with a repeated _id: equal ones would otherwise count as one."""
    first: dict[tuple[int, bytes], int] = {}
    failures: list[DocumentFailure] = []
    kept: list[int] = []
    for position, document in enumerate(batch.documents()):
        id_ = find_element(document, b"_id")
        key = (id_.type, bytes(id_.value)) if id_ is not None else (0, b"")
        if first.setdefault(key, position) == position:
            kept.append(position)
        else:
            reason = f"the generator gave it the same _id as document #{wanted.start + first[key]}"
            failures.append(_failure(namespace, wanted.start + position, reason))
    return MadeDocuments(batch.select(kept) if failures else batch, tuple(failures))


def _one_by_one(source: DocumentSource, wanted: BatchRange, namespace: Namespace) -> MadeDocuments:
    batches: list[EncodedBatch] = [EncodedBatch.of([])]
    failures: list[DocumentFailure] = []
    for index in range(wanted.start, wanted.stop):
        try:
            batches.append(source.generate(index, index + 1))
        except Exception as error:  # noqa: BLE001 - see above
            reason = f"the document cannot be generated: {type(error).__name__}: {error}"
            failures.append(_failure(namespace, index, reason))
    return MadeDocuments(EncodedBatch.join(batches), tuple(failures))


def _failure(namespace: Namespace, index: int, reason: str) -> DocumentFailure:
    return DocumentFailure(f"{namespace}:#{index}", f"#{index}", str(namespace), reason)
