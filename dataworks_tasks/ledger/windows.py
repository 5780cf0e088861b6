"""The contract of the ledger for a run's messages and its driver, and its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from dataworks_tasks.runs.batch_range import BatchRange

WAKE = "wake"
"""Not a step: the run has messages to send at that moment."""


class DueStep(NamedTuple):
    """A step of a run's driver that is due and that no worker has."""

    run_id: str
    step: str


class Taking(StrEnum):
    """The outcome of taking a message off the queue."""

    TAKEN = "taken"  # the range is in this worker's hands
    HELD = "held"  # another worker has it in hand
    STOPPED = "stopped"  # the run is paused or has ended
    BEYOND = "beyond"  # it is outside what is planned
    PARKED = "parked"  # the run waits for tokens; the range is sent when they are there
    FULL = "full"  # the run has all the processes it may have; the range is sent when one is free


@dataclass(frozen=True, slots=True)
class TakenRange:
    """The answer to a worker that took a message off the queue.

    ``deaths``: how many workers have died while holding this range since it last made progress;
    ``tries``: how often it failed and was postponed since then. ``others``: runs of this queue that
    also want a process. ``to_send``: the messages that take this one's place in the queue.
    """

    taking: Taking
    holder: str
    deaths: int
    tries: int
    others: int
    to_send: tuple[BatchRange, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """How a worker leaves a range. ``rests`` are sent again after ``delay`` seconds.

    ``progressed``: some of it was acknowledged. ``failed``: it was tried without success.
    ``parks``: nothing of the run is sent before the delay is over, because all of it waits for the
    same tokens.
    """

    rests: Sequence[BatchRange] = ()
    delay: float = 0.0
    progressed: bool = False
    failed: bool = False
    parks: bool = False


@dataclass(frozen=True, slots=True)
class WindowState:
    """The window as found by a probe that went through the queue after the messages before it.

    ``covered``: ranges that a living worker holds, and those that are postponed.
    """

    is_working: bool  # not paused, and not ended
    planned: int
    size: int  # 0: the window was never opened
    sent: int
    now: float  # seconds of the server's clock
    parked_seconds: float
    takes: int
    suspects: tuple[BatchRange, ...]
    in_hand: tuple[BatchRange, ...]
    put_off: tuple[BatchRange, ...]


@dataclass(frozen=True, slots=True)
class Rivals:
    """Other runs that want processes, and the turns of this one.

    ``others`` counts the queue's other runs that want a process now; ``takes`` counts the messages
    of this run that workers have taken so far.
    """

    is_working: bool  # this run
    others: int
    takes: int


class SendWindows(Protocol):
    """The send window of every run. All methods raise what ``contract.Ledger`` raises."""

    def queue(self, run_id: str) -> str:
        """Return the queue that the run's messages go to; empty if no fleet works on the run."""

    def open(self, run_id: str, queue: str, size: int, room: int, processes: int = 0) -> None:
        """Start sending at the run's first gap, ``room`` messages of ``size`` at a time."""

    def refill(self, run_id: str) -> tuple[BatchRange, ...]:
        """Return the ranges to send now, as many as the window has room for."""

    def take(
        self, run_id: str, wanted: BatchRange, holder: str, seconds: float, *, dead: bool = False
    ) -> TakenRange:
        """Hold a range for ``seconds``. ``dead``: the worker that held it is gone."""

    def keep(self, run_id: str, start: int, holder: str, seconds: float) -> bool:
        """Hold a range for ``seconds`` from now; False when it is not the holder's."""

    def release(
        self, run_id: str, start: int, holder: str, release: Release
    ) -> tuple[BatchRange, ...]:
        """Release a range; return the ranges to send now."""

    def probe(self, run_id: str) -> None:
        """Note that a probe is about to be sent: messages sent from now on come after it."""

    def look(self, run_id: str) -> WindowState:
        """Return what the current probe finds, and count the deaths of lost workers."""

    def in_hand(self, run_id: str) -> tuple[BatchRange, ...]:
        """Return the ranges that workers hold, for display; changes nothing."""

    def correct(
        self, run_id: str, room: int, suspects: Sequence[BatchRange], lost: Sequence[BatchRange]
    ) -> tuple[BatchRange, ...]:
        """Record what a probe found, and send ``lost`` again; return the ranges to send now."""

    def rivals(self, run_id: str) -> Rivals:
        """Return which other runs want the processes of this run's queue."""

    def want(self, run_id: str, processes: int) -> None:
        """Record how many processes the run could use now; an autoscaler reads the runs' sum."""

    def served_before(self, run_id: str) -> list[str]:
        """Return the runs that get the processes while no worker works on this one."""


class DriverLeases(Protocol):
    """Who drives which run, and what is due. All methods raise what ``contract.Ledger`` raises."""

    def schedule(self, run_id: str, queue: str, steps: Sequence[str], seconds: float) -> None:
        """Make ``steps`` of the run's driver due in ``seconds``."""

    def claim(self, queue: str, most: int, seconds: float) -> list[DueStep]:
        """Return what is due in ``queue``; it is due again after ``seconds`` unless it is taken."""

    def hold(
        self,
        due: DueStep,
        queue: str,
        holder: str,
        seconds: float,
        position: str | None = None,
        due_again: float | None = None,
    ) -> str | None:
        """Acquire, extend or (with 0 seconds) release the lease of a step.

        Returns the recorded position, after setting it to ``position`` if that is given; None,
        without any change, when another process has the lease. The step is due again in
        ``due_again`` seconds; None: never.
        """

    def is_held(self, due: DueStep) -> bool:
        """Return whether a process is doing the step."""

    def forget(self, due: DueStep, queue: str) -> None:
        """Forget the step: it needs no more attention, and the run gets no more turns."""

    def may_send_finish(self, run_id: str, seconds: float) -> bool:
        """Return whether no worker is finishing the run; True at most once in ``seconds``."""
