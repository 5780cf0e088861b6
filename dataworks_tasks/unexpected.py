"""Unexpected errors: faults of DataWorks, of a user's strategy or generator, or of the machine.

They are never silent and never last for ever. The traceback goes to the worker's log and one line
to the run's record; the message is tried again, because another process may have the memory or the
right library; and the run is stopped with the error's name when the same range fails too often
without progress.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery.exceptions import TaskPredicate

from dataworks_tasks.errors import DataWorksError, RunFailed, UnexpectedError
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.logs import without_credentials

log = logging.getLogger(__name__)

MOST_TRIES = 6
"""With the pauses between them, about half a minute."""
_LONGEST_TEXT = 300


@contextmanager
def unexpected_errors() -> Iterator[None]:
    """Raise as UnexpectedError what is neither DataWorks' error nor Celery's decision."""
    try:
        yield
    except (DataWorksError, TaskPredicate):
        raise
    except Exception as error:
        log.exception("an unexpected error")
        raise UnexpectedError(described(error)) from None


def described(error: BaseException) -> str:
    """Return one line: the type and text of the exception, and where it was raised."""
    words = " ".join(without_credentials(str(error)).split())[:_LONGEST_TEXT]
    place = ""
    if frames := traceback.extract_tb(error.__traceback__):
        place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
    return f"{type(error).__name__}{f': {words}' if words else ''}{place}"


def check_tries(ledger: Ledger, run_id: str, subject: str, error: UnexpectedError) -> None:
    """Count a failed attempt at ``subject``; raise RunFailed after too many in a row."""
    if error.progressed:
        ledger.forget_attempts(run_id, subject)
        return
    tries = ledger.count_attempt(run_id, subject)
    if tries >= MOST_TRIES:
        ledger.forget_attempts(run_id, subject)
        raise RunFailed(
            f"{subject} failed {tries} times in a row without any progress: {error.fact}",
            f"The workers' logs have the traceback. When its cause is gone: "
            f"dataworks resume {run_id}",
        )
