"""Wait until nothing of a run that follows its source is left to reconcile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from bson.timestamp import Timestamp

from dataworks_tasks.errors import RunFailed, UsageError
from dataworks_tasks.ledger.contract import Ledger, RunState
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.later_pairs import LATER, later_pairs
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.sync.every_key import EveryKey
from dataworks_tasks.sync.follow_place import PLACE, REDO, FollowPlace, first_place

_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 5.0
"""What was on its way when the writers stopped may arrive within this time."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlog of a followed run at one moment. ``place``: the reader's recorded place.

    ``collections``: those of which each key is reconciled again. ``deferred_seconds``: until the
    last window whose writes may still arrive can be repeated.
    """

    open_windows: int
    waiting_entries: int
    hot_keys: int
    deferred: int
    deferred_seconds: float
    collections: int
    place: bytes
    time: Timestamp
    changes: int

    @property
    def is_empty(self) -> bool:
        """Whether everything up to the place is reconciled."""
        left = (self.open_windows, self.waiting_entries, self.hot_keys, self.deferred)
        return not (any(left) or self.collections)

    def __str__(self) -> str:
        parts = [
            counted(count, one, several) + what
            for count, one, several, what in (
                (self.open_windows, "window", "windows", ""),
                (self.waiting_entries, "entry", "entries", " of the change log"),
                (self.hot_keys, "hot key", "hot keys", ""),
                (self.collections, "collection", "collections", " to reconcile key by key"),
                (
                    self.deferred,
                    "window",
                    "windows",
                    f" to repeat in {self.deferred_seconds:.0f} s",
                ),
            )
            if count
        ]
        return ", ".join(parts) or "nothing"


def backlog(ledger: Ledger, run_id: str) -> Backlog:
    """Return what is left now. Raises UsageError for a run that does not follow its source."""
    # First the place, then the rest in one step: it includes what the place has moved past.
    kept = ledger.key_windows.place(run_id, PLACE)
    taken_in = len(later_pairs(ledger.key_windows.place(run_id, LATER)))
    redo = EveryKey.from_bytes(ledger.key_windows.place(run_id, REDO))
    status = ledger.key_windows.status(run_id)
    place = FollowPlace.from_bytes(kept) if kept else _beginning(ledger, run_id)
    left = status.deferred_until - ledger.key_windows.now() if status.deferred else 0.0
    return Backlog(
        open_windows=status.open_windows,
        collections=len(redo.pairs) + max(0, taken_in - place.later),
        waiting_entries=place.logged - place.planned,
        hot_keys=status.hot_keys,
        deferred=status.deferred,
        deferred_seconds=max(0.0, left),
        place=kept,
        time=place.time,
        changes=place.logged,
    )


def _beginning(ledger: Ledger, run_id: str) -> FollowPlace:
    """Return the place of a run whose changes have not been read yet."""
    job = ledger.spec(run_id).job
    if not isinstance(job, MigrationJob) or job.follow is None:
        raise UsageError(
            f"{run_id} does not follow its source", f"See it: dataworks status {run_id}"
        )
    return first_place(job.follow)


def drain(
    ledger: Ledger,
    run_id: str,
    barrier: Timestamp,
    show: Callable[[Backlog], None],
    still_changed: Callable[[Backlog, Backlog], None],
) -> Backlog:
    """Wait until everything up to ``barrier`` is reconciled; returns the empty backlog.

    ``still_changed`` is called with two moments between which the source was changed, long enough
    after the barrier; it may raise. Raises RunFailed when the run stops meanwhile.
    """
    quiet_from = time.monotonic() + _GRACE_SECONDS
    before: Backlog | None = None
    while True:
        left = backlog(ledger, run_id)
        state = ledger.state(run_id)
        if state is not RunState.RUNNING:
            raise RunFailed(
                f"run {run_id} is {state}, so it does not catch up",
                f"See why: dataworks status {run_id}; continue it: dataworks resume {run_id}",
            )
        if left.is_empty and left.time >= barrier:
            return left
        if left.time >= barrier and time.monotonic() >= quiet_from:
            if before is not None and left.changes > before.changes:
                still_changed(before, left)
            before = left
        show(left)
        Event().wait(_LOOK_SECONDS)
