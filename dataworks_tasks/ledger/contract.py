"""The contract of the ledger, and the values in its interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from dataworks_tasks.ledger.results import (
    Acknowledgement,
    DocumentFailure,
    PlanEnd,
    RangeResult,
    WorkerReport,
)
from dataworks_tasks.ledger.run_counters import DIFFERENCES

if TYPE_CHECKING:  # a command imports what it uses: dataclasses are compiled at each start
    from dataworks_tasks.ledger.final_collection import FinalCollection
    from dataworks_tasks.ledger.follow_gauge import FollowGauge
    from dataworks_tasks.ledger.history import RunHistories
    from dataworks_tasks.ledger.index_speeds import IndexSpeeds
    from dataworks_tasks.ledger.key_windows import KeyWindows
    from dataworks_tasks.ledger.redis_server import RedisMemory
    from dataworks_tasks.ledger.run_flags import RunFlags
    from dataworks_tasks.ledger.run_limits import RunLimits
    from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
    from dataworks_tasks.ledger.target_claims import TargetClaims
    from dataworks_tasks.ledger.tokens import ThrottledRate, TokenGrant, TokenRequest
    from dataworks_tasks.ledger.windows import DriverLeases, SendWindows
    from dataworks_tasks.ledger.worker_registry import WorkerRegistry
    from dataworks_tasks.runs.batch_range import BatchRange
    from dataworks_tasks.runs.spec import RunSpec

# The values of results.py belong to this contract as well.
__all__ = ["Acknowledgement", "DocumentFailure", "PlanEnd", "RangeResult", "WorkerReport"]


class RunState(StrEnum):
    """The state of a run."""

    PLANNING = "planning"  # ranges are still being made; workers work already
    RUNNING = "running"  # every range is known
    PAUSED = "paused"  # workers leave messages alone until resumed
    CANCELLED = "cancelled"  # no work is done, unless resumed
    FAILED = "failed"  # an error stopped it; resume tries again
    COMPLETE = "complete"  # every range is acknowledged and the finish is done
    DIFFERENT = "different"  # a verification that compared everything and found differences


WORKING = frozenset({RunState.PLANNING, RunState.RUNNING})
"""States in which workers work."""

FINISHED = frozenset({RunState.COMPLETE, RunState.DIFFERENT})
"""States of a run that has done everything."""


@dataclass(frozen=True, slots=True)
class FailurePage:
    """Some of a run's failures. ``cursor`` asks for the next ones; 0 when there are no more."""

    failures: tuple[DocumentFailure, ...]
    cursor: int


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A run at one moment."""

    run_id: str
    state: RunState
    total: int | None  # ranges' indexes or slices; None while planning
    planned: int  # how many of them are known so far
    acknowledged: int
    gaps: int
    counters: Mapping[str, int]
    failures: int
    created_at: datetime
    finished_at: datetime | None
    last_acknowledged_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None = None
    documents_expected: int | None = None
    collections_expected: Mapping[str, int] = field(default_factory=dict)  # of a migration
    workers: Sequence[WorkerReport] = field(default=())
    finishing: str | None = None  # progress of the finishing phase, for people
    notes: Sequence[RunNote] = field(default=())
    following: FollowGauge | None = None
    limits: RunLimits | None = None  # that were set while it ran; None: those of its spec apply
    flags: RunFlags | None = None  # of the command that started or last continued it

    @property
    def differences(self) -> int:
        """Documents that a verification found to differ; not all of them need be recorded."""
        found = sum(self.counters.get(name, 0) for name in DIFFERENCES)
        return max(found, self.failures)


@dataclass(frozen=True, slots=True)
class FinishState:
    """Progress of the finishing phase: a position to resume from, and a line of text."""

    position: str = ""
    shown: str = ""


class Ledger(Protocol):
    """The run's record. Every change is one atomic step; doing it twice changes nothing.

    All methods raise LedgerUnavailable when Redis does not answer, and UnknownName for a run that
    is not on record (even in the middle of a run: a Redis that lost its data never looks finished).
    """

    windows: SendWindows
    """Which messages of a run are waiting, in progress, or to be sent."""

    @property
    def key_windows(self) -> KeyWindows:
        """Claims and key windows, for repair and live migration."""

    workers: WorkerRegistry
    """The workers that are alive."""

    driver: DriverLeases
    """Who drives which run, and which steps are due."""

    history: RunHistories
    """The progress of each run over time."""

    index_speeds: IndexSpeeds
    """How fast targets build indexes."""

    targets: TargetClaims
    """Which runs write into which collections."""

    def memory(self) -> RedisMemory:
        """Return how much memory the server has, and how much of it is used."""

    def create(
        self, spec: RunSpec, total: int | None, queue: str = "", steps: Sequence[str] = ()
    ) -> None:
        """Record a run as ``running`` if ``total`` is known, else as ``planning``.

        ``queue``: where its messages go; ``steps`` of its driver are due there at once. A run
        without a queue is worked on by the process that records it. What is left of a run whose
        record was lost is deleted. May be repeated. Raises UsageError if another run has the id.
        """

    def spec(self, run_id: str) -> RunSpec:
        """Return the run's spec."""

    def run_ids(self) -> list[str]:
        """Return all runs, newest first."""

    def named_run(self, name: str) -> str | None:
        """Return the id of the run with this name; the run may not be on record yet."""

    def name_run(self, name: str, run_id: str, seconds: float) -> str:
        """Give the run its name, unless a run on record, or one that is being started, has it.

        A name is free if it was given longer than ``seconds`` ago to a run that is not on record.
        Returns the id of the run that has the name.
        """

    def forget(self, run_id: str) -> None:
        """Delete everything that is known about the run."""

    def state(self, run_id: str) -> RunState:
        """Return the run's state."""

    def states(self) -> dict[str, RunState]:
        """Return the state of every run, newest first, in two round trips."""

    def change_state(
        self,
        run_id: str,
        expected: frozenset[RunState],
        new: RunState,
        error: str | None = None,
    ) -> bool:
        """Set the state if it is one of ``expected``; return whether it was."""

    def note_error(self, run_id: str, error: str) -> None:
        """Keep the latest error that did not stop the run."""

    def limits(self, run_id: str) -> RunLimits | None:
        """Return the limits that were set while the run ran; None: those of its spec apply."""

    def change_limits(self, run_id: str, limits: RunLimits) -> bool:
        """Replace the limits of a run; return False, and change nothing, when the run is over."""

    def keep_flags(self, run_id: str, flags: RunFlags) -> None:
        """Replace the flags of the command that started or continued the run."""

    def set_notes(self, run_id: str, topic: NoteTopic, notes: Sequence[RunNote]) -> None:
        """Replace the run's notes of a topic. They stay when the run's state changes."""

    def record_final_collections(self, run_id: str, collections: Sequence[FinalCollection]) -> None:
        """Record what the databases held of the run's collections when it ended."""

    def final_collections(self, run_id: str) -> tuple[FinalCollection, ...]:
        """Return what the databases held when the run ended, by name; empty before that."""

    def acknowledge(
        self,
        run_id: str,
        done: BatchRange,
        result: RangeResult,
        worker: WorkerReport | None = None,
        expected_slice: bytes = b"",
    ) -> Acknowledgement:
        """Add ``done`` to the acknowledged ranges, and its counters and failures with it.

        Counters and failures count only for what is new; if only a part of the range is new, the
        counters are added in proportion. ``expected_slice``: the slice as it was worked on. It is
        acknowledged only if it is still the slice with this number: a Redis that lost its last
        moments may have been given another one since.
        """

    def checkpoint_slice(
        self,
        run_id: str,
        number: int,
        result: RangeResult,
        expected_slice: bytes,
        rest: bytes,
        worker: WorkerReport | None = None,
    ) -> bool:
        """Count the completed part of a slice, and make ``rest`` the slice that is left to do.

        Return False, and change nothing, when ``expected_slice`` is no longer the slice with this
        number.
        """

    def record_failures(self, run_id: str, failures: Sequence[DocumentFailure]) -> None:
        """Record failures of a range that is not acknowledged (the run stops)."""

    def failures(self, run_id: str) -> Iterator[DocumentFailure]:
        """Return every recorded failure."""

    def failure_page(self, run_id: str, cursor: int = 0) -> FailurePage:
        """Return about a thousand failures from ``cursor`` on; 0 is the beginning.

        A failure that is recorded meanwhile may be missing, and a failure may be returned twice.
        """

    def failed_ranges(self, run_id: str) -> tuple[BatchRange, ...]:
        """Return the acknowledged ranges that hold failures."""

    def set_going(
        self,
        run_id: str,
        expected: frozenset[RunState],
        queue: str = "",
        steps: Sequence[str] = (),
    ) -> bool:
        """Start or continue a run in one of the ``expected`` states; return False in any other.

        Its state becomes ``planning`` or ``running``, ``steps`` of its driver are due in ``queue``,
        and a plan that ends before its total is planned further.
        """

    def reopen_failed(self, run_id: str, queue: str = "", steps: Sequence[str] = ()) -> int:
        """Turn every acknowledged range that holds failures into a gap again; return how many.

        The run continues afterwards, as with ``set_going``.
        """

    def gaps(self, run_id: str, within: BatchRange | None = None) -> Iterator[BatchRange]:
        """Yield the ranges that are not acknowledged, in order, up to what is planned."""

    def progress(self, run_id: str) -> RunProgress:
        """Return the run's progress now."""

    def append_slices(
        self,
        run_id: str,
        end: PlanEnd,
        slices: Sequence[bytes],
        expected: int,
        by_collection: Mapping[str, int] = ...,
        collections: Sequence[int] = ...,
    ) -> None:
        """Add planned slices after ``end``.

        Raises TransientError when the recorded plan ends elsewhere: another planner adds to it, or
        Redis lost its last writes. ``expected``: documents that they are expected to hold;
        ``by_collection``: the same by the name of the target collection. ``collections``: the
        number of each slice's collection, where the run has several.
        """

    def close_plan(self, run_id: str, end: PlanEnd) -> bool:
        """Close the plan: all slices are known. True when all are acknowledged already.

        Then the caller finishes. Raises TransientError when the recorded plan does not end at
        ``end``.
        """

    def slice_collections(self, run_id: str) -> Sequence[int]:
        """Return the number of each planned slice's collection, also of those acknowledged.

        Empty where the run has one collection, or was planned by a version that did not keep it.
        """

    def slices(self, run_id: str, wanted: BatchRange) -> dict[int, bytes]:
        """Return slices by number; acknowledged ones are gone."""

    def plan_end(self, run_id: str) -> PlanEnd:
        """Return how many slices are planned, and the planner's position (to continue it)."""

    def count_attempt(self, run_id: str, subject: str) -> int:
        """Count an attempt at ``subject``, a range or a step; return how many there were."""

    def forget_attempts(self, run_id: str, subject: str) -> None:
        """Start counting from zero: ``subject`` made progress, or was given up."""

    def acquire_finish_lease(
        self, run_id: str, holder: str, seconds: float, state: FinishState | None = None
    ) -> str | None:
        """Acquire, extend or (with 0 seconds) release the run's finish lease.

        Returns the recorded position, after setting it to ``state`` if that is given; None, without
        any change, when another process has the lease.
        """

    def take_tokens(self, run_id: str, request: TokenRequest) -> TokenGrant:
        """Take from the buckets that the whole fleet shares, and run the fleet's controller.

        The caller waits as long as the grant says before it spends what it took.
        """

    def throttled_rate(self, run_id: str) -> ThrottledRate | None:
        """Return the rate that a throttling target accepts; None if it has not throttled lately."""
