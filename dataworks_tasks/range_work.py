"""The contract of a kind of run: how its workers run a range, and how they finish the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from dataworks_tasks.ledger.contract import Ledger, RangeResult
from dataworks_tasks.rate_limits.reads import ReadRateLimiter
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import FinishLease, StopSignal
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.write_budget import RateLimiter


@dataclass(frozen=True, slots=True)
class RunContext:
    """What work on one run needs, as this process reaches it."""

    spec: RunSpec
    config: FrameworkConfig
    ledger: Ledger
    target: BaseDatabaseClient
    source: BaseDatabaseClient | None = None
    rate_limiter: RateLimiter | None = None
    source_reads: ReadRateLimiter | None = None
    target_reads: ReadRateLimiter | None = None


class RangeWork(Protocol):
    """The work of one run in one process; made once per run and kept."""

    def run(self, wanted: BatchRange, stop: StopSignal) -> Iterator[tuple[BatchRange, RangeResult]]:
        """Do the range and yield each part whose every document is completed at the target.

        Parts come in any order, do not overlap, and are acknowledged by the caller as they come.
        Stops early, without the rest, when ``stop`` is reached. Raises TransientError when the
        rest is to be tried again later, and TerminalError when the run cannot go on.
        """

    def finish(self, lease: FinishLease) -> bool:
        """What is left when everything is acknowledged; doing it twice changes nothing.

        False when ``lease`` was over before all of it was done.
        """

    def close(self) -> None:
        """Let go of threads and buffers."""
