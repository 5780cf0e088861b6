"""The heartbeat of a lease in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Self

from dataworks_tasks.errors import DataWorksError, LedgerUnavailable

LEASE_SECONDS = 6.0
"""A lease belongs to its holder for this long after its last heartbeat."""
_HEARTBEAT_SECONDS = 2.0


class Heartbeat:
    """Extends a lease every two seconds, on a thread, while its holder works; a context manager.

    ``extend`` returns whether the lease is still held; ``lost`` is set when it is not. An outage of
    Redis does not count as a loss: the lease is extended when Redis is back, unless another process
    has it by then.
    """

    def __init__(self, name: str, extend: Callable[[], bool]) -> None:
        self._extend = extend
        self.lost = False
        self._over, self._due = Event(), Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop extending the lease, and wait for the thread."""
        self._over.set()
        self._due.set()
        self._thread.join()

    def start(self) -> None:
        """Start extending the lease."""
        self._thread.start()

    def beat_soon(self) -> None:
        """Make the thread extend the lease at once."""
        self._due.set()

    def _run(self) -> None:
        while not self._over.is_set():
            self._due.wait(_HEARTBEAT_SECONDS)
            self._due.clear()
            if self._over.is_set():
                return
            try:
                self.lost = not self._extend()
            except LedgerUnavailable:
                continue
            except DataWorksError:
                self.lost = True  # Redis has lost the run, which the holder notices as well
                return
