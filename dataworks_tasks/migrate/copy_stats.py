"""What became of a slice's documents, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from dataworks_tasks.ledger.contract import DOCUMENTS_OF, READ_OF, DocumentFailure, RangeResult
from dataworks_tasks.ledger.document_failure import document_failure
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
        """Add what ``write_batch`` did."""
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
        """As the ledger counts it. ``documents`` are those completed at the target."""
        completed = self.written + self.already_there + self.replaced + self.skipped
        return RangeResult(
            {
                "documents": completed,
                "bytes": self.bytes,
                "read": self.read,
                "written": self.written,
                "already_there": self.already_there,
                "replaced": self.replaced,
                "skipped": self.skipped,
                "dropped": self.dropped,
                "produced": self.produced,
                "throttled_requests": self.throttled_requests,
                "retried_requests": self.retried_requests,
                "waited_milliseconds": round(self.seconds_waited * 1000),
                "request_units": round(self.request_units),
                "request_units_estimated": round(self.request_units_estimated),
                "read_request_units": round(self.read_request_units),
                "read_request_units_estimated": round(self.read_request_units_estimated),
                **self.rules,
            },
            tuple(self.failures),
        )


def by_collection(result: RangeResult, job: MigrationJob, pair: int) -> RangeResult:
    """The result, with its documents counted for their collection too where the job has several."""
    if len(job.namespaces) < 2:
        return result
    name, counters = str(job.namespaces[pair].target), dict(result.counters)
    counters[f"{DOCUMENTS_OF}{name}"] = counters.get("documents", 0)
    if "read" in counters:
        counters[f"{READ_OF}{name}"] = counters["read"]
    return replace(result, counters=counters)
