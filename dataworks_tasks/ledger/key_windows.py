"""The contract of the ledger for claims and key windows, and its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dataworks_tasks.ledger.follow_gauge import FollowGauge
from dataworks_tasks.ledger.results import (
    Acknowledgement,
    PlanEnd,
    RangeResult,
    WorkerReport,
)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A slice or window that ``holder`` wants for itself.

    ``late_seconds``: how long after a claim's end a write of its holder may still arrive.
    """

    number: int
    data: bytes
    holder: str
    seconds: float
    late_seconds: float


@dataclass(frozen=True, slots=True)
class ClaimGrant:
    """``claim`` grows with every claim of a number, also when Redis loses its last moments.

    ``suspect``: a write of an earlier holder may still arrive.
    """

    claim: int
    suspect: bool


@dataclass(frozen=True, slots=True)
class WindowOutcome:
    """The outcome of reconciling a key window, besides counters and failures.

    ``appended``: windows of keys that changed meanwhile. ``hot``: such keys as BSON with their
    collection pair, to be reconciled soon. ``cleared``: document keys whose failures are over.
    ``unanswered``: a write has no answer, so it may still arrive within ``late_seconds``.
    ``isolated``: nothing was reconciled, because it killed workers. If a late write may arrive, the
    appended windows are reconciled once more after it, instead of this one. ``rest``: the window of
    the keys that were not reconciled, which takes this one's place; empty if all were.
    """

    claim: int
    holder: str
    late_seconds: float
    appended: Sequence[bytes] = ()
    hot: Sequence[tuple[bytes, int]] = ()
    cleared: Sequence[str] = ()
    unanswered: bool = False
    isolated: bool = False
    rest: bytes = b""


@dataclass(frozen=True, slots=True)
class CompletedKeys:
    """A key window as it was worked on, with its result and its outcome."""

    number: int
    data: bytes
    result: RangeResult
    outcome: WindowOutcome


@dataclass(frozen=True, slots=True)
class Place:
    """A reader's place: it moves from ``before`` to ``after`` with the windows it appends."""

    name: str
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class WindowStatus:
    """The windows of a run that are still to come, besides its gaps.

    ``suspect_until``: until then a write of a lost process may still arrive.
    """

    open_windows: int
    hot_keys: int
    deferred: int
    deferred_until: float
    suspect_until: float


@dataclass(frozen=True, slots=True)
class Append:
    """Windows to append; ``hot_keys`` are those that the windows take over from the hot set.

    ``due``: how many deferred windows may be appended as well. ``documents``: how many more
    documents the run is expected to have.
    """

    windows: Sequence[bytes] = ()
    place: Place | None = None
    hot_keys: Sequence[bytes] = ()
    due: int = 0
    documents: int = 0


class KeyWindows(Protocol):
    """The steps that repair and live migration add to the ledger.

    All methods raise what ``contract.Ledger`` raises.
    """

    def claim(self, run_id: str, request: ClaimRequest) -> ClaimGrant | None:
        """Claim a slice or window; None while another process has it, or when it is done."""

    def extend(self, run_id: str, request: ClaimRequest, claim: int) -> bool:
        """Keep a claim for ``request.seconds`` from now; False when it is lost."""

    def give_back(
        self, run_id: str, request: ClaimRequest, claim: int, *, unanswered: bool
    ) -> None:
        """End a claim before its time; ``unanswered``: a write of it has no answer."""

    def checkpoint(
        self,
        run_id: str,
        window: CompletedKeys,
        worker: WorkerReport | None = None,
    ) -> Acknowledgement:
        """Acknowledge a window, or put its rest in its place; do nothing when its claim is lost."""

    def append(self, run_id: str, append: Append) -> int | None:
        """Append windows, and the deferred ones that are due; return how many.

        None if another process moved the place, or the run is over; then nothing was appended.
        """

    def place(self, run_id: str, name: str) -> bytes:
        """Return the place of the reader called ``name``; empty when it has not begun."""

    def hot_keys(self, run_id: str) -> Mapping[bytes, int]:
        """Return the hot set: keys as BSON, each with its collection pair."""

    def has_failures(self, run_id: str) -> bool:
        """Return whether any document's failure is on record."""

    def status(self, run_id: str) -> WindowStatus:
        """Return what is left besides the run's gaps; times are of Redis' clock."""

    def now(self) -> float:
        """Return Redis' time, in seconds since 1970."""

    def add_hot_keys(self, run_id: str, keys: Sequence[tuple[bytes, int]]) -> None:
        """Add keys, each with its collection pair, to the hot set."""

    def close_copy(self, run_id: str, end: PlanEnd, late_seconds: float) -> None:
        """Record that every slice of the copy is planned, up to ``end``.

        ``late_seconds``: how long after the end of a claim its holder's writes may still arrive.
        Raises TransientError when the plan on record ends elsewhere.
        """

    def copy_slices(self, run_id: str) -> int | None:
        """Return how many slices the copy has; None while they are being planned."""

    def is_copied(self, run_id: str) -> bool:
        """Return whether the copy is done, and no write of its slices' holders can still arrive."""

    def complete(self, run_id: str, place: str, expected: bytes) -> bool:
        """Close the plan and complete the run; False if anything is left, or the place moved."""

    def note_following(self, run_id: str, gauge: FollowGauge) -> None:
        """Record how far the run lags behind its source, for people and alerts."""

    def clear_failures(self, run_id: str, keys: Sequence[str]) -> None:
        """Forget failures that are over, by the names of their documents."""
