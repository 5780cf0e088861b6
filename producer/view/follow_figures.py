"""How far a migration that follows its source lags behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from dataworks_tasks.ledger.contract import Ledger, RunProgress, RunState
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import MigrationJob, RunSpec
from dataworks_tasks.sync.delete_scan import SCANNED
from dataworks_tasks.sync.follow_place import PLACE, FollowPlace, first_place
from dataworks_tasks.sync.open_windows import oldest_open_change
from producer.view.durations import shown_duration

_CAUGHT_UP_SECONDS = 10.0
_SILENT_SECONDS = 30.0


class Phase(StrEnum):
    """What a run that follows its source is doing."""

    COPYING = "copying"
    CATCHING_UP = "catching up"
    FOLLOWING = "following"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class FollowFigures:
    """``lag_seconds``: the age of the oldest change that is not at the target; about 0 when idle.

    ``entries_waiting``: entries of the change log at the target that are not in a window yet.
    ``history_seconds``: how far the source's history reaches back before the run's position.
    ``silent_seconds``: since the source was read. ``delete_scan_seconds``: since the last scan for
    deletions began, if the source's changes do not include them.
    """

    phase: Phase
    lag_seconds: float
    changes: int
    windows_waiting: int
    entries_waiting: int
    hot_keys: int
    suspect_windows: int
    suspect_seconds: float
    history_seconds: float | None = None
    silent_seconds: float | None = None
    delete_scan_seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return {**asdict(self), "phase": self.phase.value}

    @property
    def is_copying(self) -> bool:
        """Whether documents of the first copy are missing."""
        return self.phase is Phase.COPYING

    def rows(self) -> Iterator[tuple[str, str]]:
        """Names and values for people."""
        yield "phase", self.phase.value
        yield "lag", f"{self.lag_seconds:.0f} s"
        yield "changes", f"{self.changes:,}"
        if self.windows_waiting or self.entries_waiting or self.hot_keys:
            yield (
                "waiting",
                f"{counted(self.windows_waiting, 'window')}, "
                f"{counted(self.entries_waiting, 'entry', 'entries')} of the change log, "
                f"{counted(self.hot_keys, 'hot key')}",
            )
        if self.history_seconds is not None:
            yield "history", f"{shown_duration(self.history_seconds)} before the run's position"
        if self.phase is not Phase.COMPLETE and (self.silent_seconds or 0) > _SILENT_SECONDS:
            yield "stopped", f"nobody has read the source for {self.silent_seconds:.0f} s"
        if self.delete_scan_seconds is not None:
            yield "deletions", f"looked for {shown_duration(self.delete_scan_seconds)} ago"
        if self.suspect_windows:
            yield (
                "suspect",
                f"{counted(self.suspect_windows, 'window')}, due in {self.suspect_seconds:.0f} s",
            )


def follow_figures(ledger: Ledger, spec: RunSpec, progress: RunProgress) -> FollowFigures | None:
    """Return the figures of a run that follows its source; None for any other run."""
    job = spec.job
    if not isinstance(job, MigrationJob) or job.follow is None:
        return None
    kept = ledger.key_windows.place(spec.run_id, PLACE)
    place = FollowPlace.from_bytes(kept) if kept else first_place(job.follow)
    status, now = ledger.key_windows.status(spec.run_id), ledger.key_windows.now()
    slices = ledger.key_windows.copy_slices(spec.run_id)
    copying = slices is None or any(ledger.gaps(spec.run_id, BatchRange(0, slices)))
    waiting = 0 if copying else progress.planned - progress.acknowledged
    oldest = oldest_open_change(ledger, spec.run_id) if waiting else 0
    lag = max(0.0, now - (oldest or place.time.time))
    gauge, scanned = progress.following, ledger.key_windows.place(spec.run_id, SCANNED)
    if gauge is not None and not waiting:
        # The process that follows knows that there was nothing to read; the position does not show
        # it.
        lag = min(lag, gauge.lag_seconds + max(0.0, now - gauge.seen_at))
    return FollowFigures(
        phase=_phase(progress, copying=copying, lag=lag),
        lag_seconds=0.0 if progress.state is RunState.COMPLETE else lag,
        changes=place.events,
        windows_waiting=waiting,
        entries_waiting=place.logged - place.planned,
        hot_keys=status.hot_keys,
        suspect_windows=status.deferred,
        suspect_seconds=max(0.0, status.deferred_until - now) if status.deferred else 0.0,
        history_seconds=gauge.history_seconds if gauge else None,
        silent_seconds=max(0.0, now - gauge.seen_at) if gauge else None,
        delete_scan_seconds=max(0.0, now - float(scanned)) if scanned else None,
    )


def _phase(progress: RunProgress, *, copying: bool, lag: float) -> Phase:
    if progress.state is RunState.COMPLETE:
        return Phase.COMPLETE
    if copying:
        return Phase.COPYING
    return Phase.FOLLOWING if lag <= _CAUGHT_UP_SECONDS else Phase.CATCHING_UP
