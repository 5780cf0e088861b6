"""Every error DataWorks raises on purpose, in one tree.

    DataWorksError
      UsageError          the request cannot be carried out as given; exit code 2
        SettingsError     a setting is unknown, missing or bad
          RightMissing    the database user may not do what the run needs
        TemplateError     a template is wrong; holds every finding at once
        TargetNotEmpty    the target collection holds documents already
        UnknownName       a template, generator, strategy, profile or run that does not exist
      TerminalError       trying again cannot help: the run, or this message, stops
        SpecRefused       this worker must not run this run: other servers, bytes or format
        RunFailed         a run stopped; the reason is on record
        BadMessage        a task's arguments are not a run id and a range
      TransientError      trying again later can help
        StoreUnavailable  a database does not answer
        LedgerUnavailable Redis does not answer
        Throttled         the database asked for a pause
        UnexpectedError   an error that no code foresaw; tried again a few times

Whether something is retried is its type: ``retry_policy`` retries ``TransientError`` and nothing
else. Every class passes all of its arguments to ``super().__init__``, because Celery and pickle
rebuild an exception from ``args``; the text is made in ``__str__``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

NEW_RUN = "start a new run"
"""These words in a remedy say that resuming the run cannot help."""


def asks_for_new_run(error: str | None) -> bool:
    """Whether an error's text, as it is on record, says that resuming the run cannot help."""
    return error is not None and NEW_RUN in error.lower()


class DataWorksError(Exception):
    """A fact, and what to do next.

    ``fact`` says what is wrong in one sentence without a full stop; ``remedy`` is the next command
    to type or the change to make. Neither may hold a secret.
    """

    def __init__(self, fact: str, remedy: str = "") -> None:
        super().__init__(fact, remedy)
        self.fact = fact
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.fact}. {self.remedy}" if self.remedy else self.fact


class UsageError(DataWorksError):
    """The request cannot be carried out as given. Nothing was written."""


class SettingsError(UsageError):
    """A setting is unknown, missing or bad; the fact names the setting and where it was set."""


class RightMissing(SettingsError):
    """The user of the connection string may not do what the run needs; the fact names the right."""


class Finding(NamedTuple):
    """One thing that is wrong with a template: where, and what."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


class TemplateError(UsageError):
    """A template is wrong. ``findings`` has every problem of the file, not only the first."""

    def __init__(self, source: str, findings: Iterable[Finding]) -> None:
        self.source = source
        self.findings = tuple(Finding(*finding) for finding in findings)
        DataWorksError.__init__(self, source, "")
        self.args = (source, self.findings)

    def __str__(self) -> str:
        if len(self.findings) == 1:
            return f"{self.source}: {self.findings[0]}"
        lines = "".join(f"\n  {finding}" for finding in self.findings)
        return f"{self.source}: {len(self.findings)} problems{lines}"


class TargetNotEmpty(UsageError):
    """The target collection holds documents, and neither ``--drop`` nor ``--append`` was given."""


class UnknownName(UsageError):
    """A name does not exist; the remedy lists or suggests names that do."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str], remedy: str = "") -> UnknownName:
        """Build the error for ``name``, with the nearest of the ``known`` names or all of them."""
        names = sorted(known)
        if not remedy:
            remedy = nearest_or_all(name, names)
        return cls(f"unknown {kind} {name!r}", remedy)


class TerminalError(DataWorksError):
    """Trying again cannot help."""


class SpecRefused(TerminalError):
    """This process must not work on the run: it would write to other servers or other bytes."""


class RunFailed(TerminalError):
    """The run stopped because of an error; the reason is in its ledger record."""


class BadMessage(TerminalError):
    """A message does not hold a run id and a range; it is refused and logged."""


class TransientError(DataWorksError):
    """Trying again later can help."""


class StoreUnavailable(TransientError):
    """A database does not answer, or answered with a transient error."""


class LedgerUnavailable(TransientError):
    """The ledger's Redis does not answer, or cannot store."""


class Throttled(TransientError):
    """The database asked for a pause of ``delay_seconds`` (None: it did not say how long)."""

    def __init__(self, fact: str, remedy: str = "", delay_seconds: float | None = None) -> None:
        super().__init__(fact, remedy)
        self.args = (fact, remedy, delay_seconds)
        self.delay_seconds = delay_seconds


class UnexpectedError(TransientError):
    """An error was raised that no code foresaw. ``progressed``: after a part was acknowledged."""

    def __init__(self, fact: str, remedy: str = "", progressed: bool = False) -> None:
        super().__init__(fact, remedy)
        self.args = (fact, remedy, progressed)
        self.progressed = progressed


def nearest_or_all(name: str, known: Iterable[str], limit: int = 12) -> str:
    """Return a hint for a mistyped ``name``: the nearest names, or the first ``limit``."""
    names = sorted(known)
    spelled = {entry.lower(): entry for entry in names}
    close = difflib.get_close_matches(name.lower(), spelled, n=3, cutoff=0.6)
    near = [spelled[entry] for entry in close]
    if near:
        return "Did you mean " + " or ".join(near) + "?"
    shown = ", ".join(names[:limit])
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"Known: {shown}{more}" if names else "There are none"
