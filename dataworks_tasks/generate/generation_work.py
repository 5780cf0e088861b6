"""Generate ranges and write them, one batch ahead of the wire."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import shown_id
from dataworks_tasks.errors import RunFailed
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.generate.aggregators.aggregation import Aggregation
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.chunk_size import ChunkSize
from dataworks_tasks.generate.count_duplicates import note_duplicates
from dataworks_tasks.generate.count_lost import note_lost_documents
from dataworks_tasks.generate.faulty_documents import generate_around_faults
from dataworks_tasks.generate.finish_generation import finish_generation
from dataworks_tasks.ledger.contract import DocumentFailure, RangeResult
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.ledger.run_limits import limits_of
from dataworks_tasks.range_work import CompletedRange, RunContext
from dataworks_tasks.rate_limits.writes import documents_per_write
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.choices import OnConflict, OnError
from dataworks_tasks.runs.lease import FinishLease, StopSignal
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationPart
from dataworks_tasks.settings.fingerprints import other_server_remedy
from dataworks_tasks.store.bulk_write import WritePolicy, WriteResult, write_batch
from dataworks_tasks.store.collection_guard import CollectionGuard

DOCUMENTS_PER_COMPARISON = 5_000
"""Documents that are made again at a time, to be compared or written."""
DOCUMENTS_PER_WRITE = 5_000
"""Large enough that the command's overhead disappears (measured: 0.9 us a document of 1 KB at
5,000, 2.5 us at 1,000), small enough that three of them fit a worker's memory."""


@dataclass(frozen=True, slots=True)
class PartSource:
    """A part of the run, the source of its documents, and what its template requests afterwards."""

    part: GenerationPart
    documents: DocumentSource
    indexes: tuple[Mapping[str, Any], ...] = ()
    aggregations: tuple[Aggregation, ...] = ()


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A batch on its way, and the documents of its range that could not be made."""

    run_range: BatchRange
    namespace: Namespace
    batch: EncodedBatch
    failures: tuple[DocumentFailure, ...]


class GenerationWork:
    """Implements ``range_work.RangeWork`` for a generation run."""

    def __init__(self, context: RunContext, sources: Sequence[PartSource]) -> None:
        self._context = context
        self._sources = tuple(sources)
        self._guard = CollectionGuard(
            context.target,
            "target",
            context.spec.target_server,
            other_server_remedy(context.spec, "target", context.config),
        )
        self._policy = WritePolicy(write_concern=context.spec.write_concern)
        self._aggregated = {source.part.namespace for source in sources if source.aggregations}
        most = documents_per_write(
            min(DOCUMENTS_PER_WRITE, context.target.capabilities.max_documents_per_write),
            limits_of(context.ledger, context.spec).max_rate,
        )
        seconds = context.config.batch_aggregation_timeout_ms / 1000
        self._chunk_sizes = {source.part: ChunkSize(most, seconds) for source in sources}
        """By part: the size of one collection's documents says nothing about another's."""
        self._writers = ThreadPoolExecutor(
            context.config.write_workers, thread_name_prefix="dataworks-write"
        )

    def run(self, wanted: BatchRange, stop: StopSignal) -> Iterator[CompletedRange]:
        """Generate and write ``wanted``; see ``range_work.RangeWork``."""
        self._check_targets(wanted)
        in_flight: deque[tuple[_Chunk, Future[WriteResult]]] = deque()
        chunks = self._chunks(wanted)
        try:
            while not stop.reached and (chunk := next(chunks, None)) is not None:
                in_flight.append((chunk, self._writers.submit(self._write, chunk, stop.deadline)))
                if len(in_flight) > self._context.config.write_workers:
                    yield from self._completed(*in_flight.popleft())
            while in_flight:
                yield from self._completed(*in_flight.popleft())
        finally:
            for _, future in in_flight:
                future.cancel()

    def finish(self, lease: FinishLease) -> bool:
        parts = [source.part for source in self._sources]
        # Before the indexes: one of them may be a TTL index, which rightly deletes.
        if not lease.position and not note_lost_documents(self._context, parts, lease):
            return False
        asked = [
            (source.part.namespace, source.indexes, source.aggregations) for source in self._sources
        ]
        if not finish_generation(self._context, asked, lease):
            return False
        self._check_targets()
        note_duplicates(self._context, parts)
        return True

    def _check_targets(self, wanted: BatchRange | None = None) -> None:
        """Raise RunFailed or SpecRefused when a collection is no longer that of the run."""
        for source in self._sources:
            within = source.part.range
            if wanted is None or (wanted.start < within.stop and within.start < wanted.stop):
                self._guard.check(source.part.namespace, source.part.uuid)

    def close(self) -> None:
        """Wait for the writes on the wire, then stop the threads."""
        self._writers.shutdown(wait=True, cancel_futures=True)

    def _chunks(self, wanted: BatchRange) -> Iterator[_Chunk]:
        for source in self._sources:
            part = source.part
            start = max(wanted.start, part.range.start)
            stop = min(wanted.stop, part.range.stop)
            while start < stop:
                size = self._chunk_sizes[part].of(stop - start)
                chunk = BatchRange(start, start + size)
                yield self._make(source, chunk)
                start = chunk.stop

    def _make(self, source: PartSource, chunk: BatchRange) -> _Chunk:
        part = source.part
        local = BatchRange(chunk.start - part.first, chunk.stop - part.first)
        failpoint("generate.before")
        began = time.monotonic()
        made = generate_around_faults(source.documents, local, part.namespace)
        seconds = time.monotonic() - began
        self._chunk_sizes[part].learn(len(made.batch), made.batch.size_bytes, seconds)
        failpoint("generate.after")
        return _Chunk(chunk, part.namespace, made.batch, made.failures)

    def _write(self, chunk: _Chunk, deadline: float) -> WriteResult:
        context, policy = self._context, self._policy
        if chunk.namespace in self._aggregated:
            # When a finished run is retried, its earlier documents have fields that no batch has,
            # so they can be recognized only by _id.
            policy = replace(policy, on_conflict=OnConflict.SKIP)
        return write_batch(
            context.target, chunk.namespace, chunk.batch, policy, context.rate_limiter, deadline
        )

    def _completed(self, chunk: _Chunk, future: Future[WriteResult]) -> Iterator[CompletedRange]:
        result = future.result()
        failures = [
            *chunk.failures,
            *(_failure(chunk.namespace, item.document, item.reason) for item in result.failures),
        ]
        if failures and self._context.spec.on_error is OnError.STOP:
            self._context.ledger.record_failures(self._context.spec.run_id, failures)
            first = failures[0]
            raise RunFailed(
                f"document {first.document_id} of {first.namespace} was refused: {first.reason}",
                f"See dataworks failures {self._context.spec.run_id}",
            )
        if not result.pending:
            counters = _counters(result, chunk.batch.size_bytes)
            yield CompletedRange(chunk.run_range, RangeResult(counters, failures))
        elif not failures and len(chunk.batch) == chunk.run_range.size:
            yield from _completed_parts(chunk, result)
        # Otherwise the deadline came in the middle: the chunk stays a gap, and the next attempt
        # finds what is already written. Its failures are recorded when all of it is completed.


def _completed_parts(chunk: _Chunk, result: WriteResult) -> Iterator[CompletedRange]:
    """Yield the part of a chunk that was written before the deadline.

    Without it, a slow target would be sent the same documents again and again.
    """
    counters: dict[str, int] = _counters(result, 0)
    offsets = chunk.batch.offsets
    for start, stop in result.completed_runs(len(chunk.batch)):
        counters |= {
            RunCounter.DOCUMENTS: stop - start,
            RunCounter.BYTES: int(offsets[stop] - offsets[start]),
        }
        first = chunk.run_range.start
        yield CompletedRange(BatchRange(first + start, first + stop), RangeResult(counters))
        counters = {}


def _counters(result: WriteResult, size_bytes: int) -> dict[str, int]:
    already_there = result.already_there + result.skipped
    counters = {
        RunCounter.DOCUMENTS: result.written + already_there + result.replaced,
        RunCounter.BYTES: size_bytes,
        RunCounter.WRITTEN: result.written,
        RunCounter.ALREADY_THERE: already_there,
        RunCounter.THROTTLED_REQUESTS: result.throttled_requests,
        RunCounter.RETRIED_REQUESTS: result.retried_requests,
        RunCounter.WAITED_MILLISECONDS: round(result.seconds_waited * 1000),
        RunCounter.REQUEST_UNITS: round(result.request_units),
        RunCounter.REQUEST_UNITS_ESTIMATED: round(result.request_units_estimated),
    }
    return {name: value for name, value in counters.items() if value}


def _failure(namespace: Namespace, document: bytes, reason: str) -> DocumentFailure:
    id_ = shown_id(document)
    return DocumentFailure(f"{namespace}:{id_}", id_, str(namespace), reason)
