"""Hold the range that this process works on, for as long as it lives."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock, Thread

from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.ledger.contract import Ledger

log = logging.getLogger(__name__)

HAND_SECONDS = 6.0
"""A range belongs to its process for this long after the last sign of life."""
_HEARTBEAT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Hand:
    run_id: str
    start: int


class HandKeeper:
    """One thread for the life of the process: a message may take less time than starting one."""

    def __init__(self, ledger: Ledger, holder: str) -> None:
        self._ledger = ledger
        self._holder = holder
        self._lock = Lock()
        self._hand: _Hand | None = None
        self._over = Event()
        self._thread: Thread | None = None

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def holding(self, run_id: str, start: int) -> Iterator[None]:
        """Hold the range that begins at ``start``, which was just taken."""
        if self._thread is None:
            self._thread = Thread(target=self._beat, name="keep-range", daemon=True)
            self._thread.start()
        self._hold(_Hand(run_id, start))
        try:
            yield
        finally:
            self._hold(None)

    def _hold(self, hand: _Hand | None) -> None:
        with self._lock:
            self._hand = hand

    def _beat(self) -> None:
        while not self._over.wait(_HEARTBEAT_SECONDS):
            with self._lock:
                hand = self._hand
            if hand is None:
                continue
            try:
                self._ledger.windows.keep(hand.run_id, hand.start, self._holder, HAND_SECONDS)
            except DataWorksError as error:
                log.debug("the claim on a range was not renewed: %s", error)
