"""Why a run makes no progress, in one line."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dataworks_tasks.ledger.contract import WORKING, Ledger, RunProgress, RunState
from dataworks_tasks.ledger.redis_server import RedisMemory, cannot_write_to
from dataworks_tasks.ledger.worker_registry import LivingWorker
from dataworks_tasks.runs.command_queue import is_command_queue

CLOCK_SECONDS = 20.0
"""A worker whose clock is further off reports useless times."""
_FULL_SHARE = 0.98
_QUIET_SECONDS, _SILENT_SECONDS = 5.0, 30.0
_MEGABYTE = 1_000_000
_START = "start one: dataworks worker"
_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Standstill:
    """``cause``: what blocks the run, in one line.

    ``has_workers``: whether any worker could work on it. ``workers``: those that are alive; None if
    that is not known, or if the process that recorded the run works on it. ``redis_stores``: False
    while Redis has no room, so that workers cannot report to it.
    """

    cause: str | None = None
    has_workers: bool = True
    workers: tuple[LivingWorker, ...] | None = None
    redis_stores: bool = True


GETS_ON = Standstill()


def cause_of_standstill(ledger: Ledger, progress: RunProgress) -> str | None:
    """Return what blocks the run; None if nothing does. Raises the ledger's errors."""
    return standstill(ledger, progress).cause


def standstill(ledger: Ledger, progress: RunProgress, *, silence_counts: bool = True) -> Standstill:
    """Return what blocks the run, and whether any worker could work on it.

    ``silence_counts``: whether workers that do not report have ended. They cannot report while
    Redis does not answer. Raises the ledger's errors.
    """
    if progress.state is RunState.PAUSED:  # what paused it by itself, or what failed since
        return Standstill(progress.last_error)
    if progress.state not in WORKING:
        return GETS_ON
    queue = ledger.windows.queue(progress.run_id)
    if not queue:  # the process that recorded the run works on it
        return Standstill(progress.last_error if _is_newest(progress) else None)
    workers, problem = ledger.workers.alive(), storage_problem(ledger.memory())
    is_known = silence_counts and not problem
    has_workers = not is_known or _has_worker(workers, queue)
    cause = problem or next(_causes(ledger, progress, queue, workers, has_workers), None)
    if cause is None and is_known:
        cause = next(_waits(ledger, progress), None)
    return Standstill(cause, has_workers, tuple(workers) if is_known else None, not problem)


def has_lost_its_command(ledger: Ledger, run_id: str) -> bool:
    """Return whether only one command's workers could work on the run, and they have ended."""
    queue = ledger.windows.queue(run_id)
    return (
        is_command_queue(queue)
        and not _has_worker(ledger.workers.alive(), queue)
        and not storage_problem(ledger.memory())
    )


def _has_worker(workers: Sequence[LivingWorker], queue: str) -> bool:
    return any(queue in worker.queues for worker in workers)


def storage_problem(memory: RedisMemory) -> str:
    """Return why Redis stores nothing, so that workers cannot report; empty if it stores."""
    if memory.limit > 0 and memory.used >= _FULL_SHARE * memory.limit:
        used, limit = memory.used // _MEGABYTE, memory.limit // _MEGABYTE
        return f"Redis is full ({used:,} of {limit:,} MB); give it more memory"
    if memory.cannot_write:
        return f"{cannot_write_to(memory.folder)}; free space there"
    return ""


def _causes(
    ledger: Ledger,
    progress: RunProgress,
    queue: str,
    workers: Sequence[LivingWorker],
    has_workers: bool,
) -> Iterator[str]:
    if not has_workers and is_command_queue(queue):
        # Nobody else ever takes from it; `resume` sends the run to another queue.
        yield (
            "the workers of its command have ended; "
            f"continue with: dataworks resume {progress.run_id}"
        )
    elif not has_workers:
        yield from no_worker(workers, queue)
    yield from wrong_clocks(workers)
    if _is_newest(progress):
        yield f"{progress.last_error}"
    throttled = ledger.throttled_rate(progress.run_id)
    if throttled is not None:
        unit = "RU" if throttled.in_request_units else "documents"
        yield f"the target throttles: it accepts {throttled.a_second:,.0f} {unit}/s from this run"


def _waits(ledger: Ledger, progress: RunProgress) -> Iterator[str]:
    """Yield what a run waits for that has not acknowledged anything for some time."""
    # A run that follows an idle source has nothing to do, and so nothing to wait for.
    is_idle = progress.following is not None and progress.planned == progress.acknowledged
    waiting = [] if is_idle else ledger.windows.served_before(progress.run_id)
    if waiting and _seconds_quiet(ledger, progress) > _QUIET_SECONDS:
        yield f"waiting for {_listed(waiting)}"
    # A server that was suspended, or whose packets are dropped, gives no error for a long time.
    if _seconds_quiet(ledger, progress) > _SILENT_SECONDS and ledger.windows.in_hand(
        progress.run_id
    ):
        yield (
            f"workers are active, but nothing was acknowledged for {_SILENT_SECONDS:.0f} s; "
            "check whether source and target answer: dataworks doctor"
        )


def wrong_clocks(workers: Sequence[LivingWorker]) -> Iterator[str]:
    """Yield the workers whose clock differs from Redis'."""
    for worker in workers:
        if abs(worker.clock_seconds) > CLOCK_SECONDS:
            side = "ahead" if worker.clock_seconds > 0 else "behind"
            seconds = abs(worker.clock_seconds)
            yield f"the clock of {worker.name} is {seconds:,.0f} s {side}; synchronize it with NTP"


def no_worker(workers: Sequence[LivingWorker], queue: str) -> Iterator[str]:
    """Return why no worker takes from ``queue``; empty if one does."""
    if not workers:
        yield f"no worker is running; {_START}"
    elif not _has_worker(workers, queue):
        taken = "; ".join(
            f"{worker.name} takes from {', '.join(worker.queues)}"
            for worker in workers[:_MOST_NAMES]
        )
        yield f"no worker takes from the queue {queue}: {taken}; set FRAMEWORK_QUEUE={queue} there"


def _is_newest(progress: RunProgress) -> bool:
    """Return whether nothing was acknowledged since the last error."""
    if progress.last_error is None or progress.last_error_at is None:
        return False
    last = progress.last_acknowledged_at
    return last is None or progress.last_error_at > last


def _seconds_quiet(ledger: Ledger, progress: RunProgress) -> float:
    last = progress.last_acknowledged_at or progress.created_at
    return time.time() - ledger.workers.clock_seconds() - last.timestamp()


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown
