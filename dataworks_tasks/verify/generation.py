"""Generate ranges again and compare them with what the target holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import (
    Element,
    assemble,
    element_bytes,
    embedded,
    find_element,
    ids_filter,
)
from dataworks_tasks.generate.batch.document_id import PREFIX_BYTES
from dataworks_tasks.generate.faulty_documents import MadeDocuments, generate_around_faults
from dataworks_tasks.generate.generation_work import DOCUMENTS_PER_COMPARISON, PartSource
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.numerals import counted
from dataworks_tasks.range_work import CompletedRange, RunContext
from dataworks_tasks.rate_limits.reads import rate_limited
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import FinishLease, StopSignal
from dataworks_tasks.runs.spec import VerificationJob
from dataworks_tasks.verify.comparison import Comparison, compare
from dataworks_tasks.verify.field_order import with_sorted_fields
from dataworks_tasks.verify.result import verification_result, with_faults
from dataworks_tasks.verify.run_ids import RunIds

BYTES_PER_COMPARISON = 32 << 20
"""Estimated by the first document: what is compared at once has to fit a worker's memory."""
_OBJECT_ID = 0x07


class GenerationVerificationWork:
    """Implements ``range_work.RangeWork`` for the verification of a generation run."""

    def __init__(self, context: RunContext, sources: Sequence[PartSource]) -> None:
        self._context = context
        self._sources = tuple(sources)
        self._rate_limiter = context.target_reads

    def run(self, wanted: BatchRange, stop: StopSignal) -> Iterator[CompletedRange]:
        """Compare ``wanted``; differences are the result's failures."""
        for source in self._sources:
            part = source.part
            start = max(wanted.start, part.range.start)
            until = min(wanted.stop, part.range.stop)
            if start >= until:
                continue
            first = _made(source, BatchRange(start, start + 1)).batch.size_bytes
            at_once = max(1, min(DOCUMENTS_PER_COMPARISON, BYTES_PER_COMPARISON // max(first, 1)))
            for chunk in BatchRange(start, until).split(at_once):
                if stop.reached:
                    return
                made = _made(source, chunk)
                compared = self._compared(source, made.batch)
                result = verification_result(part.namespace, compared, first=chunk.start)
                yield CompletedRange(chunk, with_faults(result, made.failures))

    def finish(self, lease: FinishLease) -> bool:
        """Look for documents that no run of this job wrote, if the target belongs to it alone."""
        job = self._context.spec.job
        if not (isinstance(job, VerificationJob) and job.exclusive):
            return True
        counters = self._context.ledger.progress(self._context.spec.run_id).counters
        # Duplicates in a target that repeats an _id are already on record.
        accounted = (
            sum(source.part.count for source in self._sources)
            - counters.get(RunCounter.MISSING, 0)
            + counters.get(RunCounter.EXTRA, 0)
        )
        namespaces = {source.part.namespace for source in self._sources}
        there = sum(self._context.target.count(namespace) for namespace in namespaces)
        if there > accounted:
            named = 0
            for failures in self._extra_documents():
                self._context.ledger.record_failures(self._context.spec.run_id, failures)
                named += len(failures)
            surplus = there - accounted - named
            if surplus > 0:
                names = ", ".join(sorted(map(str, namespaces)))
                failure = DocumentFailure(
                    f"{names}:surplus",
                    "(unknown)",
                    names,
                    f"{counted(surplus, 'document does', 'documents do')} not belong to the run",
                )
                self._context.ledger.record_failures(self._context.spec.run_id, [failure])
        return True

    def _extra_documents(self) -> Iterator[list[DocumentFailure]]:
        """Yield documents that do not belong to the run, if their ``_id`` shows that.

        At most as many are named as the run may have failures.
        """
        left = self._context.spec.max_failures
        for namespace in {source.part.namespace for source in self._sources}:
            ids = RunIds.of([s for s in self._sources if s.part.namespace == namespace])
            if ids is None:
                continue
            pages = self._context.target.find_raw(
                namespace, {}, projection={"_id": 1}, sort=[("_id", 1)]
            )
            for page in pages:
                strangers = [
                    document_failure(namespace, document, "not of the run")
                    for document in EncodedBatch.parse(page).documents()
                    if document not in ids
                ][:left]
                left -= len(strangers)
                if strangers:
                    yield strangers
                if left <= 0:
                    return

    def close(self) -> None:
        """Do nothing: no resources are kept."""

    def _compared(self, source: PartSource, expected: EncodedBatch) -> Comparison:
        if not len(expected):
            return Comparison(0)
        found = self._fetch(source, expected)
        if not source.part.unique_ids:
            expected, found = with_sorted_fields(expected), with_sorted_fields(found)
        return compare(expected, found)

    def _fetch(self, source: PartSource, expected: EncodedBatch) -> EncodedBatch:
        # Aggregated fields were computed after the documents, from the collections' content at that
        # time.
        left_out = {aggregation.target: 0 for aggregation in source.aggregations}
        options: dict[str, Any] = {"projection": left_out} if left_out else {}
        query = _same_ids(expected)
        target, namespace = self._context.target, source.part.namespace
        rate_limiter = self._rate_limiter
        size = rate_limiter.max_documents(len(expected)) if rate_limiter else len(expected)
        found = target.find_raw(namespace, query, sort=[("_id", 1)], batch_size=size, **options)
        if rate_limiter is not None:
            charge = partial(target.read_charge, namespace.database)
            found = (page for page, _ in rate_limited(found, size, rate_limiter, charge))
        return EncodedBatch.parse(b"".join(found))


def _made(source: PartSource, chunk: BatchRange) -> MadeDocuments:
    first = source.part.first
    local = BatchRange(chunk.start - first, chunk.stop - first)
    return generate_around_faults(source.documents, local, source.part.namespace)


def _same_ids(expected: EncodedBatch) -> RawBSONDocument:
    """Build a query for the batch's ``_id``s: a range if they are consecutive, else a list."""
    first, last = _id_at(expected, 0), _id_at(expected, len(expected) - 1)
    if _are_consecutive(first, last, len(expected)):
        bounds = assemble([element_bytes(first, b"$gte"), element_bytes(last, b"$lte")])
        return RawBSONDocument(assemble([embedded(b"_id", bounds)]))
    return ids_filter(_id_at(expected, position) for position in range(len(expected)))


def _are_consecutive(first: Element, last: Element, count: int) -> bool:
    """Return whether both are ObjectIds from ``document_id``, ``count - 1`` indexes apart."""
    if first.type != _OBJECT_ID or last.type != _OBJECT_ID:
        return False
    split = PREFIX_BYTES
    distance = int.from_bytes(last.value[split:]) - int.from_bytes(first.value[split:])
    return first.value[:split] == last.value[:split] and distance == count - 1


def _id_at(batch: EncodedBatch, position: int) -> Element:
    id_ = find_element(batch.document(position), b"_id")
    if id_ is None:
        raise ValueError("a generated document has no _id")
    return id_
