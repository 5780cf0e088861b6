"""Which of a pool's connections a thread got, known from the driver's pool events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from pymongo.monitoring import (
    ConnectionCheckedOutEvent,
    ConnectionClosedEvent,
    ConnectionPoolListener,
)

_WARM_UP_SECONDS = 10.0


class Checkout(NamedTuple):
    """A connection given to a thread: which one, and how many times it has been checked out."""

    connection: tuple[object, int]
    number: int


class ConnectionWatch(ConnectionPoolListener):
    """Remembers each thread's last connection, and can open several at once.

    The driver calls ``connection_checked_out`` on the thread that gets the connection.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[object, int], int] = {}
        self._of_thread = threading.local()
        self._gate: threading.Barrier | None = None

    def last_checkout(self) -> Checkout | None:
        """Return the last connection that the calling thread was given."""
        return getattr(self._of_thread, "checkout", None)

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        """Count it; while warming up, wait until all threads have one."""
        connection = (event.address, event.connection_id)
        number = self._numbers.get(connection, 0) + 1
        self._numbers[connection] = number
        self._of_thread.checkout = Checkout(connection, number)
        if self._gate is not None and getattr(self._of_thread, "warming", False):
            self._of_thread.warming = False
            with _broken_is_fine():
                self._gate.wait(_WARM_UP_SECONDS)

    def open_connections(self, count: int, ask: Callable[[], object]) -> None:
        """Open ``count`` connections at once by as many concurrent calls of ``ask``.

        Raises what ``ask`` raises; fewer are opened when the server is too slow for more.
        """
        self._gate = threading.Barrier(count)

        def take_one() -> None:
            self._of_thread.warming = True
            ask()

        try:
            with ThreadPoolExecutor(count, thread_name_prefix="warm-up") as threads:
                for done in [threads.submit(take_one) for _ in range(count)]:
                    done.result()
        finally:
            self._gate = None

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        """Forget it: its number is never used again."""
        self._numbers.pop((event.address, event.connection_id), None)

    def _nothing_to_remember(self, event: object) -> None:
        """Ignore an event: the driver calls a method for every event."""

    pool_created = pool_ready = pool_cleared = pool_closed = _nothing_to_remember
    connection_created = connection_ready = connection_checked_in = _nothing_to_remember
    connection_check_out_started = connection_check_out_failed = _nothing_to_remember


@contextmanager
def _broken_is_fine() -> Iterator[None]:
    """Ignore a broken barrier: a thread that failed to connect reports its own error."""
    try:
        yield
    except threading.BrokenBarrierError:
        return
