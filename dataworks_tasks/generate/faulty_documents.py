"""Keep a range going when a user's generator raises for some of its documents."""

from __future__ import annotations

from dataclasses import dataclass

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.generate.batch.document_source import DocumentSource
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
    """Generate ``wanted`` (indexes within the collection); one by one where the source raises."""
    try:
        return MadeDocuments(source.generate(wanted.start, wanted.stop))
    except DataWorksError:
        raise
    except Exception:  # noqa: BLE001 - a user's generator may raise anything; each fault is recorded
        return _one_by_one(source, wanted, namespace)


def _one_by_one(source: DocumentSource, wanted: BatchRange, namespace: Namespace) -> MadeDocuments:
    batches: list[EncodedBatch] = [EncodedBatch.of([])]
    failures: list[DocumentFailure] = []
    for index in range(wanted.start, wanted.stop):
        try:
            batches.append(source.generate(index, index + 1))
        except Exception as error:  # noqa: BLE001 - see above
            reason = f"the generator raised {type(error).__name__}: {error}"
            failures.append(
                DocumentFailure(f"{namespace}:#{index}", f"#{index}", str(namespace), reason)
            )
    return MadeDocuments(EncodedBatch.join(batches), tuple(failures))
