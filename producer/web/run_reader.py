"""Reads runs for the pages: visitors at the same moment share a snapshot."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from dataworks_tasks.errors import SpecRefused, UnknownName
from dataworks_tasks.ledger.contract import WORKING, Ledger, RunState
from dataworks_tasks.monitor.worker_listing import WorkerListing, list_workers
from dataworks_tasks.runs.run_id import kind_of_run
from dataworks_tasks.runs.spec import RunKind, RunSpec
from producer.view.follow_figures import FollowFigures, follow_figures
from producer.view.hidden_keys import hide_keys_of_run
from producer.view.live_snapshot import LiveMeter
from producer.view.remaining_time import RemainingTime
from producer.view.run_detail import RunDetail, hide_keys_of_detail, read_detail
from producer.view.run_summary import RunSummary, summarize

PAGE_SIZE = 50
_FRESH_SECONDS = 0.9
_RUNS_KEPT = 200
_WORKERS_OF_RUNS = 20
"""Workers report to the run that they work on: those of this many of the newest runs are shown."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the list. ``following``: its figures if it follows its source."""

    run: RunSummary
    following: FollowFigures | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what ``status --json`` prints about it."""
        more = {"following": self.following.as_json()} if self.following else {}
        return {**self.run.as_json(), **more}


@dataclass(frozen=True, slots=True)
class UnreadableRun:
    """A run that another version recorded. ``reason``: why this one cannot read it."""

    run_id: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return {"run": self.run_id, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class RunListing:
    """One page of runs, newest first.

    ``total``: how many match the filter; ``following``: where the next page begins, or None.
    """

    runs: tuple[RunRow, ...]
    total: int
    following: int | None
    unreadable: tuple[UnreadableRun, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to show; None: all."""

    state: RunState | None = None
    kind: RunKind | None = None


class RunReader:
    """Reads the ledger; may be called from any thread."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        hide_keys: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._hide_keys = hide_keys
        self._clock = clock
        self._lock = Lock()
        self._specs: OrderedDict[str, RunSpec] = OrderedDict()
        self._details: OrderedDict[str, _Watched] = OrderedDict()

    def runs(self, wanted: RunFilter, first: int = 0) -> RunListing:
        """Return a page of runs. Only those on the page are read in full."""
        chosen = [run_id for run_id, state in self._ledger.states().items()
                  if _fits(run_id, state, wanted)]  # fmt: skip
        shown = chosen[first : first + PAGE_SIZE]
        following = first + PAGE_SIZE if first + PAGE_SIZE < len(chosen) else None
        rows: list[RunRow] = []
        unreadable: list[UnreadableRun] = []
        for run_id in shown:
            try:
                row = self._row(self.spec(run_id))
            except UnknownName:
                continue  # forgotten meanwhile
            except SpecRefused as error:
                unreadable.append(UnreadableRun(run_id, str(error)))
                continue
            rows.append(replace(row, run=hide_keys_of_run(row.run)) if self._hide_keys else row)
        return RunListing(tuple(rows), len(chosen), following, tuple(unreadable))

    def _row(self, spec: RunSpec) -> RunRow:
        ledger, progress = self._ledger, self._ledger.progress(spec.run_id)
        if progress.state not in WORKING:
            return RunRow(summarize(spec, progress))
        remaining = RemainingTime.of(ledger, spec)
        run = summarize(spec, progress, time_left=remaining.observe(progress))
        return RunRow(run, follow_figures(ledger, spec, progress))

    def detail(self, run_id: str) -> RunDetail:
        """Return the run, at most a second old. Raises UnknownName and LedgerUnavailable."""
        with self._lock:
            watched = self._details.get(run_id)
        if watched is None:
            watched = _Watched(LiveMeter(self.spec(run_id), self._ledger))
        with self._lock:
            watched = self._details.setdefault(run_id, watched)
            self._details.move_to_end(run_id)
            while len(self._details) > _RUNS_KEPT:
                self._details.popitem(last=False)
        with watched.lock:
            now = self._clock()
            if watched.detail is None or now - watched.read_at >= _FRESH_SECONDS:
                detail = read_detail(self._ledger, self.spec(run_id), watched.meter)
                watched.detail = hide_keys_of_detail(detail) if self._hide_keys else detail
                watched.read_at = now
            return watched.detail

    def workers(self) -> WorkerListing:
        """Return the worker processes that reported to recent runs, and those that are alive."""
        newest = list(self._ledger.states())[:_WORKERS_OF_RUNS]
        return list_workers(self._ledger, map(self._ledger.progress, newest))

    def spec(self, run_id: str) -> RunSpec:
        """Return the run's spec, which never changes."""
        with self._lock:
            known = self._specs.get(run_id)
        if known is not None:
            return known
        spec = self._ledger.spec(run_id)
        with self._lock:
            self._specs[run_id] = spec
            while len(self._specs) > _RUNS_KEPT:
                self._specs.popitem(last=False)
        return spec


class _Watched:
    """The latest snapshot of one run."""

    def __init__(self, meter: LiveMeter) -> None:
        self.meter = meter
        self.lock = Lock()
        self.detail: RunDetail | None = None
        self.read_at = 0.0


def _fits(run_id: str, state: RunState, wanted: RunFilter) -> bool:
    if wanted.kind is not None and kind_of_run(run_id) is not wanted.kind:
        return False
    return wanted.state is None or state is wanted.state


def is_working(detail: RunDetail) -> bool:
    """Return whether the run may still change."""
    return detail.live.run.state in WORKING
