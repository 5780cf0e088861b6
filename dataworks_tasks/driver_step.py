"""What a run's driver is made of: steps, each a short task of the fleet under its own lease."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dataworks_tasks.broker.run_queue import RunQueue
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.store.client import BaseDatabaseClient


class StepLease(Protocol):
    """The right to do a step, kept while the step works.

    A holder notes its position, which is empty at first; the next holder continues there.
    """

    @property
    def position(self) -> str:
        """The position that was noted last."""

    @property
    def reached(self) -> bool:
        """Whether to return: the turn is over, or the lease is lost."""

    def note(self, position: str) -> None:
        """Record that everything up to ``position`` is done."""


class Databases(Protocol):
    """The databases as this process reaches them."""

    def source(self) -> BaseDatabaseClient:
        """Return the source. Raises SettingsError if it is not set."""

    def target(self) -> BaseDatabaseClient:
        """Return the target. Raises SettingsError if it is not set."""


@dataclass(frozen=True, slots=True)
class Drive:
    """What a step works with."""

    spec: RunSpec
    config: FrameworkConfig
    ledger: Ledger
    queue: RunQueue
    databases: Databases
    lease: StepLease


class DriverStep(Protocol):
    """One duty of a run's driver; it holds no state of its own.

    Any process of the fleet may do it next, and it may be killed at any moment: what it has done
    is in the ledger. Workers look for steps that are due once a second and send a message for each.
    """

    name: str
    """Lower-case letters and hyphens; it is written into the ledger and into messages."""

    def run(self, drive: Drive) -> float | None:
        """Do what is due, until ``drive.lease.reached``.

        Returns the seconds after which the step is due again (0: at once, after the waiting
        messages), or None when it is done for good. A TransientError is noted in the run's record,
        and the step is due again a little later; a TerminalError fails the run.
        """
