"""Time that passes only while everybody sleeps: a fleet's minute takes a second.

One thread runs at a time, and the one that wakes first is next: the same seed gives the same course
of events.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Sequence


class _TimeIsUp(BaseException):
    """Ends a body that still sleeps when the time is over."""


class VirtualTime:
    """Takes the place of the ``time`` module in the code under test."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._until = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, threading.Lock]] = []
        self._finished = _held_lock()
        self._problems: list[BaseException] = []

    def monotonic(self) -> float:
        """Return the moment, in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let the others run, and return when ``seconds`` have passed."""
        awake = self._enqueue(self.now + max(0.0, seconds))
        self._wake_next()
        awake.acquire()  # at once, where nobody wakes before
        if self.now > self._until:
            raise _TimeIsUp

    def run(self, seconds: float, bodies: Sequence[Callable[[], None]]) -> None:
        """Run ``bodies`` at once for so long. Raises what one of them raised."""
        self._until = self.now + seconds
        threads = [
            threading.Thread(target=self._run, args=(body, self._enqueue(self.now)))
            for body in bodies
        ]
        for thread in threads:
            thread.start()
        self._wake_next()
        self._finished.acquire()
        for thread in threads:
            thread.join()
        self.now = self._until
        if self._problems:
            raise self._problems[0]

    def _run(self, body: Callable[[], None], awake: threading.Lock) -> None:
        awake.acquire()
        try:
            body()
        except _TimeIsUp:
            pass
        except BaseException as problem:  # noqa: BLE001 - raised again by run
            self._problems.append(problem)
        finally:
            self._wake_next()

    def _enqueue(self, moment: float) -> threading.Lock:
        awake = _held_lock()
        heapq.heappush(self._sleepers, (moment, next(self._order), awake))
        return awake

    def _wake_next(self) -> None:
        if not self._sleepers:
            self._finished.release()
            return
        moment, _, awake = heapq.heappop(self._sleepers)
        self.now = max(self.now, moment)
        awake.release()


def _held_lock() -> threading.Lock:
    """Return a lock for one thread to wait for, and another to release."""
    lock = threading.Lock()
    lock.acquire()
    return lock
