"""Work on several slices at once and hand out those that are done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from dataworks_tasks.errors import TransientError
from dataworks_tasks.ledger.contract import RangeResult
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import StopSignal

_LOOK_SECONDS = 0.2
_PART_SECONDS = 5.0
"""How often what is completed of a slice is handed out before all of it is: on a slow account a
slice takes minutes, and no process may have to begin it again."""

Stopped = Callable[[], bool]
SliceWork = Callable[[int, bytes, Stopped], RangeResult | None]
"""Works on a slice by its number and bytes; None when it was stopped before the end."""
SlicePart = Callable[[int], RangeResult | None]
"""What was completed of a slice since this was last asked, with its rest; None: nothing."""


@dataclass(frozen=True, slots=True)
class SliceTask:
    """What is done to each slice. ``part``: where a slice can be completed part by part."""

    work: SliceWork
    part: SlicePart = lambda _number: None


def run_slices(
    threads: ThreadPoolExecutor,
    at_once: int,
    slices: Mapping[int, bytes],
    task: SliceTask,
    stop: StopSignal,
) -> Iterator[tuple[BatchRange, RangeResult]]:
    """Do ``task`` on ``slices``, ``at_once`` of them at a time, in order; yield as they finish.

    Of those that take long, and of those that were stopped, parts are yielded: results that name
    the slice's ``rest``. After a TransientError nothing new is begun, what runs is finished, and
    then it is raised. Leaving the iterator early stops the work.
    """
    waiting = iter(sorted(slices.items()))
    closing = threading.Event()
    running: dict[Future[RangeResult | None], int] = {}
    problem: TransientError | None = None
    completed = _Settled(dict(slices), task.part)

    def stopped() -> bool:
        return closing.is_set() or stop.reached

    try:
        while True:
            while len(running) < at_once and not (problem or stop.reached):
                following = next(waiting, None)
                if following is None:
                    break
                running[threads.submit(task.work, *following, stopped)] = following[0]
            if not running:
                break
            done, _ = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                number = running.pop(future)
                result = None
                try:
                    result = future.result()
                except TransientError as error:
                    problem = problem or error
                yield from completed.result(number, result)
            if completed.parts_are_due():
                for number in list(running.values()):
                    yield from completed.result(number, None)
    finally:
        closing.set()
        wait(running)
    if problem is not None:
        raise problem


class _Settled:
    """Results with the slices that they are of, which get smaller part by part."""

    def __init__(self, slices: dict[int, bytes], part: SlicePart) -> None:
        self._slices = slices
        self._part = part
        self._parts_at = time.monotonic() + _PART_SECONDS

    def parts_are_due(self) -> bool:
        """Whether it is time again to hand out parts."""
        if time.monotonic() < self._parts_at:
            return False
        self._parts_at = time.monotonic() + _PART_SECONDS
        return True

    def result(
        self, number: int, whole: RangeResult | None
    ) -> Iterator[tuple[BatchRange, RangeResult]]:
        """The slice's end, or the part of it that is completed."""
        result = whole or self._part(number)
        if result is not None:
            yield BatchRange(number, number + 1), replace(result, slice=self._slices[number])
            self._slices[number] = result.rest
