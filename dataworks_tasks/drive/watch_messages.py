"""Keep a run's messages in the queue, send lost ones again, and start the finishing phase."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from dataworks_tasks.drive.message_room import MOST_ROOM, open_window, room_of
from dataworks_tasks.driver_step import Drive, DriverStep
from dataworks_tasks.ledger.contract import WORKING, Ledger, RunProgress, RunState
from dataworks_tasks.ledger.run_limits import with_limits
from dataworks_tasks.ledger.windows import DueStep, WindowState
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.driver_steps import PLAN, WATCH
from dataworks_tasks.runs.spec import RunSpec

_SENDING_SECONDS = 0.01
"""From taking a message to replacing it: a fast run keeps as many waiting as this time takes."""
_LOOK_SECONDS = 1.0
_SHORTEST_LOOK_SECONDS = 0.3
_SLOWEST_LOOK_SECONDS = 5.0
_MOST_SUSPECTS = 1000
_FINISH_SECONDS = 5.0
"""A finish that failed, or whose message was lost, is requested again after this."""


class WatchMessages(DriverStep):
    """The driver's step for every run.

    Its message is a probe: it goes through the queue after the run's messages. If two probes in a
    row have come through, and a range that was sent is neither acknowledged nor held by a worker,
    its message was lost, in the queue or by a worker that died.
    """

    name = WATCH

    def run(self, drive: Drive) -> float | None:
        run_id, windows = drive.spec.run_id, drive.ledger.windows
        seen = windows.look(run_id)
        if not seen.is_working:
            windows.want(run_id, 0)
            drive.ledger.driver.forget(DueStep(run_id, self.name), drive.queue.name)
            return None
        if not seen.size:
            open_window(drive.ledger, drive.spec, drive.queue.name)
            seen = windows.look(run_id)
        missing = self._missing(drive.ledger, run_id, seen)
        lost = list(_common(missing, seen.suspects))
        pieces = [piece for gap in lost for piece in gap.split(seen.size)]
        taken, room = _taken_since(drive.lease.position, seen), room_of(drive.spec)
        if taken is not None and taken.seconds < _SHORTEST_LOOK_SECONDS:
            return _LOOK_SECONDS  # probes that were sent again while this one was on its way
        if taken is not None:
            room = min(MOST_ROOM, room + math.floor(taken.a_second * _SENDING_SECONDS))
        drive.lease.note(f"{seen.takes} {seen.now:.3f}")
        drive.queue.send(windows.correct(run_id, room, missing, pieces))
        drive.ledger.history.sample(run_id)
        progress = drive.ledger.progress(run_id)
        self._plan_where_needed(drive, progress)
        spec = with_limits(drive.ledger, drive.spec)
        windows.want(run_id, wanted_processes(spec, progress, seen))
        self._finish_where_done(drive, progress)
        if missing or taken is None or not taken.messages:
            return _LOOK_SECONDS
        return min(_SLOWEST_LOOK_SECONDS, max(_LOOK_SECONDS, drive.config.stall_seconds / 2))

    def _missing(self, ledger: Ledger, run_id: str, seen: WindowState) -> list[BatchRange]:
        """Return the sent ranges that are neither acknowledged, nor in progress, nor delayed."""
        if seen.parked_seconds or not seen.sent:
            return []
        found: list[BatchRange] = []
        covered = sorted((*seen.in_hand, *seen.put_off))
        for gap in ledger.gaps(run_id, BatchRange(0, seen.sent)):
            found += _without(gap, covered)
            if len(found) >= _MOST_SUSPECTS:
                break
        return found[:_MOST_SUSPECTS]

    def _plan_where_needed(self, drive: Drive, progress: RunProgress) -> None:
        """Make planning continue if Redis has lost that it is incomplete, or that it is due."""
        if drive.spec.is_sliced and progress.total != progress.planned:
            drive.ledger.set_going(drive.spec.run_id, WORKING, drive.queue.name, (PLAN,))

    def _finish_where_done(self, drive: Drive, progress: RunProgress) -> None:
        done = progress.total is not None and progress.acknowledged == progress.total
        if progress.state is not RunState.RUNNING or not done:
            return
        if drive.ledger.driver.may_send_finish(drive.spec.run_id, _FINISH_SECONDS):
            drive.queue.send_finish()


class _Taken(NamedTuple):
    """Messages that workers took between two checks."""

    messages: int
    seconds: float

    @property
    def a_second(self) -> float:
        return self.messages / self.seconds


def _taken_since(position: str, seen: WindowState) -> _Taken | None:
    """Return what was taken after ``position``; None at the first check."""
    takes, _, moment = position.partition(" ")
    if not moment:
        return None
    count = max(0, seen.takes - int(takes))
    return _Taken(count, max(0.001, seen.now - float(moment)))


def wanted_processes(spec: RunSpec, progress: RunProgress, seen: WindowState) -> int:
    """Return how many processes the run could use without any just waiting for tokens."""
    left = -(-(progress.planned - progress.acknowledged) // max(1, seen.size))
    wanted = max(1, left)  # planning and finishing need one, too
    if spec.max_rate or spec.max_ru:
        usable = len(seen.in_hand) + (0 if seen.parked_seconds else 1)
        # At least one: in a fleet without workers, nothing would notice that tokens are back.
        wanted = min(wanted, max(1, usable))
    return min(wanted, spec.max_processes or wanted)


def _without(gap: BatchRange, covered: Sequence[BatchRange]) -> Iterator[BatchRange]:
    """Yield the parts of ``gap`` that no range of ``covered`` (sorted by start) touches."""
    position = gap.start
    for piece in covered:
        if piece.start >= gap.stop:
            break
        if piece.start > position:
            yield BatchRange(position, piece.start)
        position = max(position, piece.stop)
    if position < gap.stop:
        yield BatchRange(position, gap.stop)


def _common(first: Iterable[BatchRange], second: Sequence[BatchRange]) -> Iterator[BatchRange]:
    """Yield the intersection of both; each is sorted and without overlaps."""
    for one in first:
        for other in second:
            start, stop = max(one.start, other.start), min(one.stop, other.stop)
            if start < stop:
                yield BatchRange(start, stop)
