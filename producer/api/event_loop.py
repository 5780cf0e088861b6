"""The caller's event loop, and the thread of a run beside it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from threading import Event

from dataworks_tasks.errors import UsageError
from producer.view.run_result import RunResult, RunStatus

ProgressCallback = Callable[[RunStatus], object]
"""Called with the run's progress; its return value is ignored."""


async def beside_the_loop(run: Callable[[Event], RunResult]) -> RunResult:
    """Run on a thread. A cancelled caller waits until the run is left in good order."""
    stop = Event()
    running = asyncio.ensure_future(asyncio.to_thread(run, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([running])
        raise


def on_loop(progress: ProgressCallback | None) -> Callable[[RunStatus], object]:
    """Call ``progress`` on the caller's event loop, not on the thread of the run.

    Raises UsageError for an object that cannot be called, or a coroutine function.
    """
    if progress is None:
        return lambda _status: None
    if not callable(progress) or inspect.iscoroutinefunction(progress):
        found = (
            "a coroutine function" if callable(progress) else f"of type {type(progress).__name__}"
        )
        raise UsageError(
            f"progress is {found}", "Give a plain function: progress=lambda status: print(status)"
        )
    loop = asyncio.get_running_loop()
    return lambda status: loop.call_soon_threadsafe(progress, status)
