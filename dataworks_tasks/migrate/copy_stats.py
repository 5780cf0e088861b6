"""The outcomes of a slice's documents, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from dataworks_tasks.ledger.contract import DocumentFailure, RangeResult
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.ledger.run_counters import DOCUMENTS_OF, READ_OF, RunCounter
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.store.bulk_write import WriteResult


@dataclass(slots=True)
class CopyStats:
    """Counts of one slice; ``result`` is what the ledger gets."""

    read: int = 0
    written: int = 0
    already_there: int = 0
    replaced: int = 0
    skipped: int = 0
    dropped: int = 0
    produced: int = 0
    bytes: int = 0
    throttled_requests: int = 0
    retried_requests: int = 0
    seconds_waited: float = 0.0
    request_units: float = 0.0
    request_units_estimated: float = 0.0
    read_request_units: float = 0.0
    read_request_units_estimated: float = 0.0
    rules: Counter[str] = field(default_factory=Counter)
    failures: list[DocumentFailure] = field(default_factory=list)

    def add_write(self, namespace: Namespace, result: WriteResult) -> None:
        """Add the outcome of ``write_batch``."""
        self.written += result.written
        self.already_there += result.already_there
        self.replaced += result.replaced
        self.skipped += result.skipped
        self.throttled_requests += result.throttled_requests
        self.retried_requests += result.retried_requests
        self.seconds_waited += result.seconds_waited
        self.request_units += result.request_units
        self.request_units_estimated += result.request_units_estimated
        self.failures += (
            document_failure(namespace, failure.document, failure.reason)
            for failure in result.failures
        )

    def add(self, others: Iterable[CopyStats]) -> None:
        """Add other parts."""
        for other in others:
            for name in self.__slots__:
                setattr(self, name, getattr(self, name) + getattr(other, name))

    def result(self) -> RangeResult:
        """Return what the ledger counts. ``documents`` are those completed at the target."""
        completed = self.written + self.already_there + self.replaced + self.skipped
        return RangeResult(
            {
                RunCounter.DOCUMENTS: completed,
                RunCounter.BYTES: self.bytes,
                RunCounter.READ: self.read,
                RunCounter.WRITTEN: self.written,
                RunCounter.ALREADY_THERE: self.already_there,
                RunCounter.REPLACED: self.replaced,
                RunCounter.SKIPPED: self.skipped,
                RunCounter.DROPPED: self.dropped,
                RunCounter.PRODUCED: self.produced,
                RunCounter.THROTTLED_REQUESTS: self.throttled_requests,
                RunCounter.RETRIED_REQUESTS: self.retried_requests,
                RunCounter.WAITED_MILLISECONDS: round(self.seconds_waited * 1000),
                RunCounter.REQUEST_UNITS: round(self.request_units),
                RunCounter.REQUEST_UNITS_ESTIMATED: round(self.request_units_estimated),
                RunCounter.READ_REQUEST_UNITS: round(self.read_request_units),
                RunCounter.READ_REQUEST_UNITS_ESTIMATED: round(self.read_request_units_estimated),
                **self.rules,
            },
            tuple(self.failures),
        )


def by_collection(result: RangeResult, job: MigrationJob, pair: int) -> RangeResult:
    """Count the result's documents by collection too if the job has several."""
    if len(job.namespaces) < 2:
        return result
    name, counters = str(job.namespaces[pair].target), dict(result.counters)
    counters[f"{DOCUMENTS_OF}{name}"] = counters.get(RunCounter.DOCUMENTS, 0)
    if RunCounter.READ in counters:
        counters[f"{READ_OF}{name}"] = counters[RunCounter.READ]
    return replace(result, counters=counters)
