"""The differences that a verification listed, as keys to reconcile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.runs.spec import GenerationJob, MigrationJob, RepairJob
from dataworks_tasks.sync.key_window import KeyWindow, id_of_failure, windows_of

EXTRA = "not in the source"
"""The beginning of the reason of a document that should not exist."""
NOT_OF_THE_RUN = "not of the run"


class ListedDifference(NamedTuple):
    """A key of a collection pair, or of a part of a generation run.

    ``first``: of a generated document, where its batch begins in the run.
    """

    pair: int
    key: Element
    first: int | None
    is_extra: bool


def read_differences(ledger: Ledger, job: RepairJob) -> Iterator[ListedDifference]:
    """Return every recorded difference whose ``_id`` is known."""
    pairs = _pairs(job.of)
    for failure in ledger.failures(job.verification):
        if not failure.bson_id or failure.namespace not in pairs:
            continue
        key = id_of_failure(failure.bson_id)
        is_extra = failure.reason.startswith((EXTRA, NOT_OF_THE_RUN))
        pair = pairs[failure.namespace]
        if isinstance(job.of, GenerationJob) and failure.index is not None:
            pair = next(
                number
                for number, part in enumerate(job.of.parts)
                if part.range.start <= failure.index < part.range.stop
            )
        yield ListedDifference(pair, key, failure.index, is_extra)


def difference_windows(
    differences: Iterator[ListedDifference], nonce: bytes
) -> Iterator[KeyWindow]:
    """Yield the differences as windows, each with keys of one collection and batch."""
    gathered: dict[tuple[int, int | None], list[Element]] = {}
    for difference in differences:
        gathered.setdefault((difference.pair, difference.first), []).append(difference.key)
    for (pair, index), keys in gathered.items():
        yield from windows_of(keys, KeyWindow(pair, (), nonce=nonce, index=index))


def _pairs(job: GenerationJob | MigrationJob) -> Mapping[str, int]:
    if isinstance(job, MigrationJob):
        targets = [pair.target for pair in job.namespaces]
    else:
        targets = [part.namespace for part in job.parts]
    return {str(namespace): number for number, namespace in enumerate(targets)}
