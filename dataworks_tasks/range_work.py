"""What every kind of run gives its workers: a way to settle a range, and a finish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.ledger.contract import Ledger, RangeResult
from dataworks_tasks.rate_limits.reads import ReadPace
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.store.bulk_write import Pace
from dataworks_tasks.store.client import BaseDatabaseClient


@dataclass(frozen=True, slots=True)
class RunContext:
    """What work on one run needs, as this process reaches it."""

    spec: RunSpec
    config: FrameworkConfig
    ledger: Ledger
    target: BaseDatabaseClient
    source: BaseDatabaseClient | None = None
    pace: Pace | None = None
    source_reads: ReadPace | None = None
    target_reads: ReadPace | None = None
    generators: tuple[BaseDataGenerator, ...] = ()  # registered in this process' own code


@dataclass(frozen=True, slots=True)
class StopSignal:
    """When to stop working on a range: at the deadline, or when the run is paused or cancelled.

    What is not settled by then stays a gap.
    """

    deadline: float  # of time.monotonic
    interrupted: Callable[[], bool] = lambda: False

    @property
    def reached(self) -> bool:
        """Whether to start nothing new."""
        return self.interrupted() or time.monotonic() >= self.deadline


class FinishTurn(Protocol):
    """A turn at what comes behind a run's last document: indexes, computed fields, counts.

    ``position``: what ``note`` was given last, by whoever had the turn before; empty at first.
    """

    @property
    def position(self) -> str: ...

    @property
    def reached(self) -> bool:
        """Whether to leave, with what is done noted: the work comes back here."""

    def note(self, position: str) -> None:
        """Everything up to ``position`` is done."""

    def show(self, tell: Callable[[], str]) -> None:
        """Ask ``tell`` every few seconds, on another thread, for a line that says how far it is."""


class WholeTurn:
    """A turn that lasts as long as it takes, shown to nobody."""

    position = ""
    reached = False

    def note(self, position: str) -> None:
        """See FinishTurn. Nothing comes back, so nothing is kept."""

    def show(self, tell: Callable[[], str]) -> None:
        """See FinishTurn."""


class RangeWork(Protocol):
    """The work of one run in one process; made once per run and kept."""

    def settle(
        self, wanted: BatchRange, stop: StopSignal
    ) -> Iterator[tuple[BatchRange, RangeResult]]:
        """Do the range and yield each part whose every document is settled at the target.

        Parts come in any order, do not overlap, and are acknowledged by the caller as they come.
        Stops early, without the rest, when ``stop`` is reached. Raises TransientError when the
        rest is to be tried again later, and TerminalError when the run cannot go on.
        """

    def finish(self, turn: FinishTurn) -> bool:
        """What is left when everything is acknowledged; doing it twice changes nothing.

        False when ``turn`` was over before all of it was done.
        """

    def close(self) -> None:
        """Let go of threads and buffers."""
