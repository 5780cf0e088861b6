"""Work on several slices at once and hand out those that are done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from dataworks_tasks.batch_range import BatchRange
from dataworks_tasks.errors import TransientError
from dataworks_tasks.ledger.contract import RangeResult
from dataworks_tasks.work import StopSignal

_LOOK_SECONDS = 0.2

Stopped = Callable[[], bool]
SliceWork = Callable[[int, bytes, Stopped], RangeResult | None]
"""Works on a slice by its number and bytes; None when it was stopped before the end."""


def settle_slices(
    threads: ThreadPoolExecutor,
    at_once: int,
    slices: Mapping[int, bytes],
    work: SliceWork,
    stop: StopSignal,
) -> Iterator[tuple[BatchRange, RangeResult]]:
    """Do ``work`` on ``slices``, ``at_once`` of them at a time, in order; yield as they finish.

    After a TransientError nothing new is begun, what runs is finished, and then it is raised.
    Leaving the iterator early stops the work.
    """
    waiting = iter(sorted(slices.items()))
    closing = threading.Event()
    running: dict[Future[RangeResult | None], int] = {}
    problem: TransientError | None = None

    def stopped() -> bool:
        return closing.is_set() or stop.reached

    try:
        while True:
            while len(running) < at_once and not (problem or stop.reached):
                following = next(waiting, None)
                if following is None:
                    break
                running[threads.submit(work, *following, stopped)] = following[0]
            if not running:
                break
            done, _ = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                number = running.pop(future)
                try:
                    result = future.result()
                except TransientError as error:
                    problem = problem or error
                    continue
                if result is not None:
                    yield BatchRange(number, number + 1), replace(result, slice=slices[number])
    finally:
        closing.set()
        wait(running)
    if problem is not None:
        raise problem
