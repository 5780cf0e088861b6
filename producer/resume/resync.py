"""Continue a run whose position is no longer in the source's change history."""

from __future__ import annotations

from dataclasses import replace

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import Ledger, RunState
from dataworks_tasks.ledger.key_windows import Append, Place
from dataworks_tasks.runs.spec import MigrationJob, RunSpec
from dataworks_tasks.sync.change_reader import HistoryLost
from dataworks_tasks.sync.every_key import EveryKey
from dataworks_tasks.sync.follow_place import PLACE, REDO, RESYNC, FollowPlace, first_place
from dataworks_tasks.sync.later_collections import spec_with_later
from dataworks_tasks.sync.open_changes import Followed, open_changes
from producer.connections import Connections

_PENDING, _DONE = b"1", b"0"


def take_new_position(connections: Connections, run_id: str) -> bool:
    """Note that everything has to be compared; take the newest position if the old one is lost.

    Returns whether it was lost. Raises UsageError for a run that does not follow its source, or was
    cut over.
    """
    ledger = connections.ledger
    spec = ledger.spec(run_id)
    job = spec.job
    if not isinstance(job, MigrationJob) or job.follow is None:
        raise UsageError(
            f"{run_id} does not follow its source", f"Continue it: dataworks resume {run_id}"
        )
    if ledger.state(run_id) is RunState.COMPLETE:
        raise UsageError(f"run {run_id} was cut over", f"See it with: dataworks status {run_id}")
    connections.check_servers(spec)
    windows = ledger.key_windows
    followed = Followed(connections.source, job.namespaces, job.follow.database, windows.now)
    _move(ledger, run_id, RESYNC, windows.place(run_id, RESYNC), _PENDING)
    kept = windows.place(run_id, PLACE)
    place = FollowPlace.from_bytes(kept) if kept else first_place(job.follow)
    try:
        with open_changes(followed, place.token, place.time) as reader:
            reader.read(1, 0)
    except HistoryLost:
        with open_changes(followed) as reader:
            captured = reader.read(1, 0)
        moved = replace(place, token=captured.token, time=captured.time)
        _move(ledger, run_id, PLACE, kept, moved.to_bytes())
        return True
    return False


def reconcile_every_key(ledger: Ledger, run_id: str) -> None:
    """Make the run reconcile every key of both sides; the cut-over waits for that."""
    spec, _ = spec_with_later(ledger, run_id)
    if not isinstance(spec.job, MigrationJob):
        raise TypeError(f"{run_id} does not follow its source")
    kept = ledger.key_windows.place(run_id, REDO)
    every = EveryKey.from_bytes(kept).with_pairs(range(len(spec.job.namespaces)))
    _move(ledger, run_id, REDO, kept, every.to_bytes())


def resynced(ledger: Ledger, run_id: str) -> None:
    """Record that everything was compared and repaired since the new position."""
    _move(ledger, run_id, RESYNC, ledger.key_windows.place(run_id, RESYNC), _DONE)


def is_resync_pending(ledger: Ledger, spec: RunSpec) -> bool:
    """Return whether the run took a new position, and was not compared since."""
    kept = ledger.key_windows.place(spec.run_id, RESYNC)
    job = spec.job
    begins_so = isinstance(job, MigrationJob) and job.follow and job.follow.compare_first
    return kept == _PENDING or (not kept and bool(begins_so))


def _move(ledger: Ledger, run_id: str, name: str, before: bytes, after: bytes) -> None:
    if ledger.key_windows.append(run_id, Append(place=Place(name, before, after))) is None:
        raise UsageError(
            f"another process is moving the position of {run_id}",
            f"Try again: dataworks resume {run_id} --resync",
        )
