"""Work on several slices at once, and yield what is completed of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dataworks_tasks.errors import TransientError
from dataworks_tasks.ledger.contract import Acknowledgement, Ledger, RangeResult, WorkerReport
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import StopSignal

_LOOK_SECONDS = 0.2
_PART_SECONDS = 5.0
"""How often the completed part of an unfinished slice is handed out.

On a slow account a slice takes minutes, and no process should have to start it again.
"""

Stopped = Callable[[], bool]


class SliceJob(Protocol):
    """The work on one slice: one thread is in ``run``, and another may ask for a part meanwhile."""

    @property
    def pauses(self) -> bool:
        """Whether ``run`` stops by itself so that a part is recorded, and is to be called again."""

    def run(self, stopped: Stopped) -> bool:
        """Do the work; False when it was stopped before the end."""

    def part(self) -> tuple[RangeResult, bytes] | None:
        """Return what was completed since the last part, and the rest; None: nothing."""

    def last_part(self) -> RangeResult:
        """Return what was completed since the last part, after ``run`` has returned."""


OpenSlice = Callable[[int, bytes], SliceJob]
"""Makes the job for a slice from its number and bytes."""


class CompletedSlice(NamedTuple):
    """A slice, or a part of it, whose every document is completed at the target.

    ``slice`` is the slice as it was worked on, ``rest`` what is left of it; empty: nothing.
    """

    number: int
    result: RangeResult
    slice: bytes
    rest: bytes = b""

    @property
    def range(self) -> BatchRange:
        """The range of this one slice."""
        return BatchRange(self.number, self.number + 1)

    def with_result(self, result: RangeResult) -> CompletedSlice:
        """Return the same part with another result."""
        return self._replace(result=result)

    def record(
        self, ledger: Ledger, run_id: str, worker: WorkerReport | None = None
    ) -> Acknowledgement:
        """Acknowledge the slice, or checkpoint it where something is left."""
        if not self.rest:
            return ledger.acknowledge(run_id, self.range, self.result, worker, self.slice)
        changed = ledger.checkpoint_slice(
            run_id, self.number, self.result, self.slice, self.rest, worker
        )
        return Acknowledgement(0, closed_last_gap=False, checkpointed=changed)


def run_slices(
    threads: ThreadPoolExecutor,
    at_once: int,
    slices: Mapping[int, bytes],
    open_slice: OpenSlice,
    stop: StopSignal,
) -> Iterator[CompletedSlice]:
    """Run a job on each of ``slices``, ``at_once`` at a time, in order; yield as they finish.

    Slices that take long, or were stopped, are yielded in parts. After a TransientError nothing new
    is begun, running jobs finish, and then the error is raised. Closing the iterator early stops
    the work.
    """
    waiting = iter(sorted(slices.items()))
    closing = threading.Event()
    running: dict[Future[bool], _Running] = {}
    problem: TransientError | None = None
    parts_at = time.monotonic() + _PART_SECONDS

    def stopped() -> bool:
        return closing.is_set() or stop.reached

    try:
        while True:
            while len(running) < at_once and not (problem or stop.reached):
                following = next(waiting, None)
                if following is None:
                    break
                one = _Running(*following, open_slice(*following))
                running[threads.submit(one.job.run, stopped)] = one
            if not running:
                break
            done, _ = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                one = running.pop(future)
                try:
                    finished = future.result()
                except TransientError as error:
                    problem, finished = problem or error, False
                parts = list(one.completed(finished))
                yield from parts
                if parts and not finished and one.job.pauses and not (problem or stopped()):
                    running[threads.submit(one.job.run, stopped)] = one
            if time.monotonic() >= parts_at:
                parts_at = time.monotonic() + _PART_SECONDS
                for one in list(running.values()):
                    yield from one.completed(finished=False)
    finally:
        closing.set()
        wait(running)
    if problem is not None:
        raise problem


@dataclass(slots=True)
class _Running:
    """A slice that is worked on; ``data`` gets smaller part by part."""

    number: int
    data: bytes
    job: SliceJob

    def completed(self, finished: bool) -> Iterator[CompletedSlice]:
        if finished:
            yield CompletedSlice(self.number, self.job.last_part(), self.data)
        elif (part := self.job.part()) is not None:
            result, rest = part
            yield CompletedSlice(self.number, result, self.data, rest)
            self.data = rest
