"""The progress of work on a slice, so that another process can continue there."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Generic, TypeVar

from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.scan.slice import Slice

T = TypeVar("T")


class SliceProgress(Generic[T]):
    """Accumulates outcomes and returns them with what remains of the slice.

    One thread works, while another may ask for ``part``.
    """

    def __init__(self, slice_: Slice) -> None:
        self.slice = slice_
        self.completed_to = self._handed_out_to = slice_.completed_to
        self._lock = threading.Lock()
        self._completed: list[T] = []  # up to there, since it was handed out
        self._beyond: list[T] = []  # done, but reading cannot continue exactly after it

    def begin(self) -> None:
        """Begin reading after ``completed_to``: what was done beyond it is done again."""
        with self._lock:
            self._beyond.clear()

    def hurry(self) -> None:
        """Read the rest as fast as any other slice."""
        with self._lock:
            self.slice = replace(self.slice, documents_at_once=None)

    def add(self, outcome: T, position: Element | None) -> None:
        """Add the outcome of the next documents; ``position`` is from ``resumable_pages``."""
        with self._lock:
            self._beyond.append(outcome)
            if position is not None:
                self._completed += self._beyond
                self._beyond = []
                self.completed_to = position

    def part(self) -> tuple[list[T], bytes] | None:
        """Return outcomes that are not handed out yet, and the slice's rest; None: nothing."""
        with self._lock:
            if self.completed_to == self._handed_out_to:
                return None
            self._handed_out_to = self.completed_to
            completed, self._completed = self._completed, []
            return completed, replace(self.slice, completed_to=self.completed_to).to_bytes()

    def last_part(self) -> list[T]:
        """Return the outcomes that are not handed out yet, once the slice is complete."""
        with self._lock:
            done, self._completed, self._beyond = self._completed + self._beyond, [], []
            return done
