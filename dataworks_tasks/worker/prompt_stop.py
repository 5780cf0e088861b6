"""The part of a Celery worker that lets it end as soon as it has nothing left to do.

An idle worker of Celery 5.7 takes two seconds from SIGTERM to its end: its event loop notices the
signal at the next event, each process of its pool sleeps for a second before it ends, and the pool
joins a thread that sleeps for half a second. See also ``broker.blocking_read``.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from threading import Thread
from types import FrameType
from typing import Any

from celery import bootsteps
from celery.signals import worker_shutting_down
from celery.worker import state

from dataworks_tasks.broker.blocking_read import worker_ends

_CHECK_SECONDS = 0.01
_ATTEMPTS, _ATTEMPT_SECONDS = 6, 0.8
_END_OF_PROCESS = "_do_exit"
"""The function of billiard that says goodbye, sleeps and ends the process."""


class PromptStop(bootsteps.StartStopStep):
    """Add it to an app with ``app.steps["worker"].add(PromptStop)``.

    It stops after the consumer, which takes no more messages then, and before the pool.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._hub: Any = None

    def start(self, parent: Any) -> None:
        """Prepare to notice that the worker is asked to stop."""
        self._hub = getattr(parent, "hub", None)
        worker_shutting_down.connect(self._hurry)

    def stop(self, parent: Any) -> None:
        """End the processes of a pool in which none works; others finish their work first."""
        worker_shutting_down.disconnect(self._hurry)
        forked = parent.pool._pool
        if self._hub is None or forked is None or state.reserved_requests:
            return
        # Terminating the pool waits for half a second if a process is left.
        _end(forked._pool)
        parent.pool.terminate()

    def _hurry(self, **_: object) -> None:
        worker_ends.set()
        if self._hub is not None:
            # It only wakes for calls of other threads, and this one is in a signal handler.
            Thread(target=self._hub.call_soon, args=(_nothing,)).start()


def _nothing() -> None: ...


def _end(processes: Sequence[Any]) -> None:
    """Terminate processes and wait for them.

    One that has just been forked has its parent's signal handlers for a moment, and ignores SIGTERM
    then. One that takes its time to end is killed by a second SIGTERM: it has no work.
    """
    for _ in range(_ATTEMPTS):
        left = [process for process in processes if process.is_alive()]
        for process in left:
            process.terminate()
        until = time.monotonic() + _ATTEMPT_SECONDS
        for process in left:
            process.join(max(0.0, until - time.monotonic()))


def end_without_pause(exit_code: int) -> None:
    """End this process of a pool when all that is left is billiard's pause.

    Handlers of others that follow this one still run.
    """

    def end(_signal: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name == _END_OF_PROCESS:
            os._exit(exit_code)

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, _CHECK_SECONDS, _CHECK_SECONDS)
