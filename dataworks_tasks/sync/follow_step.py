"""The driver's step that follows a source: read its changes and hand them to the workers."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import takewhile

from dataworks_tasks.documents.raw_bson import Element, element_bytes
from dataworks_tasks.driver_step import Drive, DriverStep
from dataworks_tasks.errors import TransientError
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.contract import WORKING, RunState
from dataworks_tasks.ledger.follow_gauge import FollowGauge
from dataworks_tasks.ledger.key_windows import Append, Place
from dataworks_tasks.migrate.collection_options import is_gone
from dataworks_tasks.rate_limits.run_reads import source_read_limiter
from dataworks_tasks.runs.choices import OnDdl
from dataworks_tasks.runs.driver_steps import FOLLOW
from dataworks_tasks.runs.later_pairs import LATER, later_pairs
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.sync.change_log import ChangeLog, change_log_namespace
from dataworks_tasks.sync.change_reader import CapturedChanges, DdlEvent, HistoryLost
from dataworks_tasks.sync.every_key import EveryKey
from dataworks_tasks.sync.follow_place import DDL, PLACE, REDO, FollowPlace, first_place
from dataworks_tasks.sync.key_window import KeyWindow, window_nonce, windows_of
from dataworks_tasks.sync.later_collections import (
    create_at_the_target,
    spec_with_later,
    take_in,
)
from dataworks_tasks.sync.open_changes import Followed, open_changes
from dataworks_tasks.sync.open_windows import oldest_open_change
from dataworks_tasks.sync.source_history import oldest_change
from dataworks_tasks.sync.waiting_reader import UNREAD_SECONDS
from dataworks_tasks.sync.window_work import read_hot_key

log = logging.getLogger(__name__)

_KEYS_AT_ONCE = 20_000
_READING_SECONDS = 0.25
_MOST_OPEN_WINDOWS = 200
_MOST_DDL_EVENTS = 20
_LOOKS_AT_THE_LOG = 3
_ENTRIES_AT_ONCE = 64
_DUE_AT_ONCE = 20
_HOT_SECONDS = 1.0
_HISTORY_SECONDS = 30.0
_WINDOWS_FOR_OTHERS = 4
"""With more open windows than this, the process that reads changes helps to reconcile them."""
_WINDOWS_FOR_A_HURRY = 8
"""With so many open windows, it does not even wait for the source's next changes."""
_HURRY_SECONDS = 0.25
_CAUGHT_UP_SECONDS = 2.0
_ALONE_SECONDS = UNREAD_SECONDS / 2
"""How long the only process does other work before the reader is due again."""
_LATER_SECONDS = 2.0
"""How often to look for collections that were created since."""
_IDLE_SECONDS = 1.0
"""How often the place moves when nothing changes: the position must not become too old."""


class FollowChanges(DriverStep):
    """Reads the source's changes for a turn, and leaves their keys as windows to the workers.

    While the copy runs the keys stay in the change log. Later they become windows at once, as long
    as the workers keep up.
    """

    name = FOLLOW

    def run(self, drive: Drive) -> float | None:
        if drive.ledger.state(drive.spec.run_id) not in WORKING | {RunState.PAUSED}:
            return None
        try:
            # Processes cache specs; this one needs the collections that were added since.
            spec, later = spec_with_later(drive.ledger, drive.spec.run_id)
            return _Follower(replace(drive, spec=spec), later).follow()
        except _Over:
            return None
        except HistoryLost as lost:
            raise HistoryLost(
                lost.fact,
                "Take a new position, compare everything and repair what differs: "
                f"dataworks resume {drive.spec.run_id} --resync",
            ) from None


class _Over(Exception):
    """The run has ended meanwhile."""


class _Follower:
    """One turn of following."""

    def __init__(self, drive: Drive, later: int) -> None:
        """``later``: how many of the run's collections were added after it began."""
        job = drive.spec.job
        if not isinstance(job, MigrationJob) or job.follow is None:
            raise TypeError(f"{drive.spec.run_id} does not follow its source")
        self._drive, self._job, self._part = drive, job, job.follow
        self._later = later
        self._run_id, self._windows = drive.spec.run_id, drive.ledger.key_windows
        namespace = change_log_namespace(drive.spec)
        self._log = ChangeLog(drive.databases.target(), namespace)
        kept = self._windows.place(self._run_id, PLACE)
        self._kept = kept
        self._place = FollowPlace.from_bytes(kept) if kept else first_place(self._part)
        self._kept_at = self._hot_at = self._noted_at = self._history_at = self._looked_at = 0.0
        self._oldest: int | None = None
        self._copied = False

    def follow(self) -> float | None:
        """Follow until the turn is over, but read at least once.

        A source that scans its log for the position may need longer than a turn to open a stream.
        """
        lease, source = self._drive.lease, self._drive.databases.source()
        self._take_in_later()
        followed = Followed(
            source,
            self._job.namespaces,
            self._part.database,
            self._windows.now,
            source_read_limiter(self._drive.ledger, self._drive.spec, source),
        )
        place, hurries = self._place, self._hurries()
        with open_changes(followed, place.token, place.time, waits=not hurries) as reader:
            while True:
                captured = reader.read(_KEYS_AT_ONCE, 0.0 if hurries else _READING_SECONDS)
                if captured.ddl is not None:
                    self._note(captured.ddl)
                self._keep(captured)
                self._list_every_key()
                self._plan()
                # A brief look does not show that the source is idle.
                self._note_lag(source, is_idle=captured.is_idle and not hurries)
                self._drive.queue.refill()
                if captured.ddl is not None and self._part.on_ddl is OnDdl.STOP:
                    self._stop()
                    return _IDLE_SECONDS
                if self._has_later():
                    return 0.0
                if (pause := self._pause(captured, hurries=hurries)) is not None:
                    return pause
                if lease.reached:
                    break
        state = self._drive.ledger.state(self._run_id)
        return 0.0 if state in WORKING else _IDLE_SECONDS

    def _take_in_later(self) -> None:
        """Begin to follow collections that were recorded since: list their keys, move the place.

        A reader that does not follow them yet can no longer move the place.
        """
        pairs, first = self._job.namespaces, self._place.later
        if first == self._later:
            return
        numbers = range(len(pairs) - self._later + first, len(pairs))
        create_at_the_target(self._drive.databases.target(), pairs[numbers.start :])
        left = self._windows.place(self._run_id, REDO)
        self._set(REDO, left, EveryKey.from_bytes(left).with_pairs(numbers).to_bytes())
        failpoint("take-in.before")
        self._move(replace(self._place, later=self._later), Append())

    def _has_later(self) -> bool:
        """Look for collections that were created since the run began; return whether any exist."""
        now = time.monotonic()
        if not self._copied or now - self._looked_at < _LATER_SECONDS:
            return False
        self._looked_at = now
        if len(later_pairs(self._windows.place(self._run_id, LATER))) != self._later:
            return True
        databases = self._drive.databases
        return take_in(self._drive.ledger, self._drive.spec, databases.source(), databases.target())

    def _hurries(self) -> bool:
        """Return whether to read only what is there, because many windows wait.

        Windows of a run that is paused, or out of tokens, wait too, but none is acknowledged. There
        this step would be due again at once, with nothing to do.
        """
        if self._part.stale_seconds or not self._is_copied():
            return False
        progress = self._drive.ledger.progress(self._run_id)
        last = progress.last_acknowledged_at
        if last is None or progress.planned - progress.acknowledged < _WINDOWS_FOR_A_HURRY:
            return False
        return self._windows.now() - last.timestamp() < _HURRY_SECONDS

    def _pause(self, captured: CapturedChanges, *, hurries: bool) -> float | None:
        """Return when to read on if this process should do other work; None to keep reading.

        Waiting for the source's next changes occupies a process but hardly any of its time. So when
        all is read and windows wait, the step is due again after the waiting messages. A process
        that is alone with the copy reads for a moment between parts of it.
        """
        behind = self._windows.now() - captured.time.time
        if not captured.is_idle and behind > _CAUGHT_UP_SECONDS:
            return None
        if hurries:
            return 0.0
        status = self._windows.status(self._run_id)
        if self._copied and status.open_windows < _WINDOWS_FOR_OTHERS:
            return None
        if self._copied and not self._part.stale_seconds:
            return 0.0
        return None if self._drive.ledger.windows.in_hand(self._run_id) else _ALONE_SECONDS

    def _keep(self, captured: CapturedChanges) -> None:
        """Log the captured keys and move the place; make windows at once if the workers keep up."""
        windows = [window.to_bytes() for window in self._windows_of(captured)]
        now = time.monotonic()
        if not windows and captured.ddl is None and now - self._kept_at < _IDLE_SECONDS:
            return
        if windows:
            failpoint("capture.before")
            self._log.append(self._place.logged, windows)
        logged = self._place.logged + len(windows)
        at_once = (
            not self._part.stale_seconds
            and self._has_room()
            and self._place.planned == self._place.logged
        )
        place = FollowPlace(
            captured.token,
            captured.time,
            logged,
            logged if at_once else self._place.planned,
            self._place.events + captured.events,
            self._place.later,
        )
        self._move(place, Append(windows if at_once else ()))
        failpoint("capture.after")
        self._kept_at = now

    def _note(self, event: DdlEvent) -> None:
        """Record a change of a collection itself, before the place moves past it."""
        kept = self._windows.place(self._run_id, DDL)
        shown = f"{event.operation} of {event.namespace}"
        known = json.loads(kept or b"[]")
        if shown not in known:
            self._set(DDL, kept, json.dumps([*known, shown][-_MOST_DDL_EVENTS:]).encode())
        if self._part.on_ddl is OnDdl.FOLLOW:
            left = self._windows.place(self._run_id, REDO)
            again = EveryKey.from_bytes(left).with_pairs(event.pairs)
            self._set(REDO, left, again.to_bytes())

    def _list_every_key(self) -> None:
        """Log the next keys of collections whose changes no event reports."""
        kept = self._windows.place(self._run_id, REDO)
        if not kept or not self._has_room():
            return
        redo, databases = EveryKey.from_bytes(kept), self._drive.databases
        clients = (databases.target(), databases.source())
        keys, left = redo.page(clients, self._job.namespaces, self._place.time)
        seconds = self._place.time.time
        windows = [
            window.to_bytes()
            for window in self._as_windows(((redo.pairs[0], key) for key in keys), seconds)
        ]
        if windows:
            self._log.append(self._place.logged, windows)
            logged = self._place.logged + len(windows)
            self._move(replace(self._place, logged=logged), Append())
        self._set(REDO, kept, left.to_bytes())

    def _set(self, name: str, before: bytes, after: bytes) -> None:
        moved = Append(place=Place(name, before, after))
        if self._windows.append(self._run_id, moved) is None:
            raise TransientError("another process follows the source, or the run has ended")

    def _note_lag(self, source: BaseDatabaseClient, *, is_idle: bool) -> None:
        """Record how far the run lags, and how far the source's history reaches back."""
        now = time.monotonic()
        if now - self._noted_at < _IDLE_SECONDS:
            return
        self._noted_at = now
        if now - self._history_at >= _HISTORY_SECONDS:
            self._history_at, self._oldest = now, oldest_change(source)
        moment, position = self._windows.now(), self._place.time.time
        oldest = oldest_open_change(self._drive.ledger, self._run_id) if self._copied else 0
        lag = max(0.0, moment - (oldest or position))
        place = self._place
        if is_idle and not (oldest or self._part.stale_seconds) and place.planned == place.logged:
            lag = 0.0  # the position of an idle source moves every ten seconds only
        gauge = FollowGauge(
            moment,
            lag,
            None if self._oldest is None else max(0.0, position - self._oldest),
        )
        self._windows.note_following(self._run_id, gauge)

    def _plan(self) -> None:
        """Make windows from the change log, from the hot set, and from the keys that are due."""
        if not self._has_room():
            return
        place = self._place
        if place.planned < place.logged:
            stop = min(place.logged, place.planned + _ENTRIES_AT_ONCE)
            entries, stop = self._readable(place.planned, stop)
            if stop > place.planned:
                seconds = min((entry.seconds for _, entry in entries), default=0)
                keys = _keys_of(entry for _, entry in entries)
                windows = [window.to_bytes() for window in self._as_windows(keys, seconds)]
                self._move(replace(place, planned=stop), Append(windows))
        now = time.monotonic()
        if now - self._hot_at >= _HOT_SECONDS:
            self._hot_at = now
            self._plan_hot_keys()

    def _readable(self, first: int, stop: int) -> tuple[list[tuple[int, KeyWindow]], int]:
        """Return the change log's entries that can be read at the source, and where they end.

        If a read may be older than a change that was seen, the newest ones wait.
        """
        entries = self._logged(first, stop)
        stale = self._part.stale_seconds
        if not stale:
            return entries, stop
        limit = self._windows.now() - 1 - stale
        readable = list(takewhile(lambda entry: entry[1].seconds <= limit, entries))
        if len(readable) == len(entries):
            return readable, stop
        return readable, readable[-1][0] + 1 if readable else first

    def _logged(self, first: int, stop: int) -> list[tuple[int, KeyWindow]]:
        """Return the change log's entries ``[first, stop)``, each with its number.

        If somebody removed some, nobody knows their keys any more, so every key is reconciled.
        """
        for _ in range(_LOOKS_AT_THE_LOG):
            entries = [(n, KeyWindow.from_bytes(data)) for n, data in self._log.read(first, stop)]
            if len({number for number, _ in entries}) == stop - first:
                return entries
            time.sleep(_IDLE_SECONDS)  # a service may answer with older data
        log.warning(
            "%s: %s has lost entries, so every key of both sides is reconciled",
            self._run_id,
            self._log.namespace,
        )
        left = self._windows.place(self._run_id, REDO)
        every = EveryKey.from_bytes(left).with_pairs(range(len(self._job.namespaces)))
        self._set(REDO, left, every.to_bytes())
        return entries

    def _plan_hot_keys(self) -> None:
        hot = list(self._windows.hot_keys(self._run_id))
        again = self._as_windows(map(read_hot_key, hot), tries=1)
        windows = [each.to_bytes() for each in again]
        self._windows.append(self._run_id, Append(windows, hot_keys=hot, due=_DUE_AT_ONCE))

    def _move(self, place: FollowPlace, append: Append) -> None:
        data = place.to_bytes()
        moved = replace(append, place=Place(PLACE, self._kept, data))
        if self._windows.append(self._run_id, moved) is None:
            if self._drive.ledger.state(self._run_id) not in WORKING | {RunState.PAUSED}:
                raise _Over
            raise TransientError("another process follows the source, or the run has ended")
        self._place, self._kept = place, data

    def _has_room(self) -> bool:
        """Return whether windows may be planned: the copy is done, and the workers keep up."""
        if not self._is_copied():
            return False
        progress = self._drive.ledger.progress(self._run_id)
        return progress.planned - progress.acknowledged < _MOST_OPEN_WINDOWS

    def _is_copied(self) -> bool:
        if not self._copied:
            self._copied = self._windows.is_copied(self._run_id)
        return self._copied

    def _windows_of(self, captured: CapturedChanges) -> Iterator[KeyWindow]:
        keys = ((pair, key) for (pair, _), key in captured.keys.items())
        if self._part.stale_seconds:
            return self._as_windows(keys, int(self._windows.now()))
        return self._as_windows(keys, self._place.time.time)

    def _as_windows(
        self, keys: Iterable[tuple[int, Element]], seconds: int = 0, tries: int = 0
    ) -> Iterator[KeyWindow]:
        by_pair: dict[int, list[Element]] = {}
        for pair, key in keys:
            by_pair.setdefault(pair, []).append(key)
        for pair, several in by_pair.items():
            if pair >= len(self._job.namespaces):
                continue  # of a collection that Redis has lost: it is added once more
            nonce = window_nonce(self._job, pair, self._later)
            first = KeyWindow(pair, (), tries, nonce=nonce, seconds=seconds)
            yield from windows_of(several, first)

    def _stop(self) -> None:
        """Pause the run after a change of a collection itself; the error says how to continue.

        A run that is paused already reads on. Its error names all changes, as the checklist does.
        """
        source, pairs = self._drive.databases.source(), self._job.namespaces
        gone = any(is_gone(source, pair.source) for pair in pairs)
        accepting = " --accept-failures" if gone else ""
        events = json.loads(self._windows.place(self._run_id, DDL) or b"[]")
        reason = (
            f"{', '.join(events)} at the source: the run is paused. "
            f"If the target should stay as it is: dataworks resume {self._run_id}; "
            f"and at the end: dataworks cutover {self._run_id} --verify full{accepting}"
        )
        before = WORKING | {RunState.PAUSED}
        self._drive.ledger.change_state(self._run_id, before, RunState.PAUSED, reason)


def _keys_of(entries: Iterable[KeyWindow]) -> Iterator[tuple[int, Element]]:
    """Yield the keys of several entries, each once."""
    known: set[tuple[int, bytes]] = set()
    for window in entries:
        for key in window.keys:
            name = (window.pair, element_bytes(key))
            if name not in known:
                known.add(name)
                yield window.pair, key
