"""The contract of a kind of run: how its workers run a range, and how they finish the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from dataworks_tasks.ledger.contract import Acknowledgement, Ledger, RangeResult, WorkerReport
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.rate_limits.reads import ReadRateLimiter
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.index_cost import build_seconds
from dataworks_tasks.runs.lease import FinishLease, StopSignal
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import IndexEntries, RunSpec
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.write_budget import RateLimiter


@dataclass(frozen=True, slots=True)
class RunContext:
    """What this process needs to work on one run."""

    spec: RunSpec
    config: FrameworkConfig
    ledger: Ledger
    target: BaseDatabaseClient
    source: BaseDatabaseClient | None = None
    rate_limiter: RateLimiter | None = None
    source_reads: ReadRateLimiter | None = None
    target_reads: ReadRateLimiter | None = None

    def learn_index_speed(
        self, namespace: Namespace, indexes: Sequence[IndexEntries], seconds: float | None
    ) -> None:
        """Remember how long the target took to build ``indexes`` in one pass; None if unknown.

        Raises the errors of the ledger, and of ``driver_errors.classify``.
        """
        if seconds is None or not indexes:
            return
        counters = self.ledger.progress(self.spec.run_id).counters
        written = counters.get(RunCounter.DOCUMENTS, 0)
        size = counters.get(RunCounter.BYTES, 0) / written if written else 0.0
        expected = build_seconds(self.target.estimated_count(namespace), size, indexes)
        self.ledger.index_speeds.learn(self.spec.target_fingerprint, seconds, expected)


class Completed(Protocol):
    """A part of a range whose every document is completed at the target."""

    @property
    def range(self) -> BatchRange:
        """The range that is completed."""

    @property
    def result(self) -> RangeResult:
        """The outcome of the range."""

    def with_result(self, result: RangeResult) -> Self:
        """Return the same part with another result."""

    def record(
        self, ledger: Ledger, run_id: str, worker: WorkerReport | None = None
    ) -> Acknowledgement:
        """Record the part in the ledger."""


class CompletedRange(NamedTuple):
    """Batches of a run whose ranges count documents."""

    range: BatchRange
    result: RangeResult

    def with_result(self, result: RangeResult) -> CompletedRange:
        """Return the same range with another result."""
        return self._replace(result=result)

    def record(
        self, ledger: Ledger, run_id: str, worker: WorkerReport | None = None
    ) -> Acknowledgement:
        """Acknowledge the range."""
        return ledger.acknowledge(run_id, self.range, self.result, worker)


class RangeWork(Protocol):
    """The work of one run in one process; made once per run and kept."""

    def run(self, wanted: BatchRange, stop: StopSignal) -> Iterator[Completed]:
        """Run the range and yield each part of it that is completed.

        Parts come in any order, do not overlap, and are recorded by the caller as they come.
        Returns early when ``stop`` is reached. Raises TransientError when the rest has to be tried
        again later, and TerminalError when the run cannot continue.
        """

    def finish(self, lease: FinishLease) -> bool:
        """Finish the run when everything is acknowledged; repeating this changes nothing.

        Returns False if ``lease`` ended before all of it was done.
        """

    def close(self) -> None:
        """Release threads and buffers."""
