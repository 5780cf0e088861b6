"""The consumer of a Celery worker, which leaves tasks of a newer version to newer workers.

Celery discards a message that names a task which it does not know.
"""

from __future__ import annotations

import logging
import random
from contextlib import closing
from typing import Any

from celery.worker.consumer import Consumer

from dataworks_tasks.broker.messages import read_run_id
from dataworks_tasks.errors import BadMessage, DataWorksError, SpecRefused, UnknownName
from dataworks_tasks.ledger.connect import Patience, connect_ledger
from dataworks_tasks.ledger.contract import WORKING, Ledger
from dataworks_tasks.settings import ConfigManager
from dataworks_tasks.version import __version__

log = logging.getLogger(__name__)

_LONGEST_SECONDS = 1.0
"""Another worker of the queue may be free at once."""


class NewerTasksConsumer(Consumer):
    """A base of ``PromptConsumer``."""

    connection_errors: tuple[type[Exception], ...]

    def on_unknown_task(self, body: object, message: Any, exc: Exception) -> None:
        """Give the message back after a moment while its run is under way; say so in the run."""
        name = str(message.headers["task"])
        try:
            with closing(
                connect_ledger(ConfigManager().load_config(), Patience.EVENT_LOOP)
            ) as ledger:
                is_wanted = leave_run(ledger, message.payload[0], name, str(self.hostname))
        except (UnknownName, BadMessage) as error:
            log.warning("%s; the message is dropped, nothing was written", error)
            is_wanted = False
        except DataWorksError as error:
            log.warning("%s is not known here, and its run cannot be read: %s", name, error)
            is_wanted = True
        if not is_wanted:
            message.reject_log_error(log, self.connection_errors)
            return
        # Not with a later start: only a worker that knows the task waits for that.
        self.timer.call_after(
            random.uniform(0.1, _LONGEST_SECONDS),
            message.reject_log_error,
            (log, self.connection_errors),
            {"requeue": True},
        )


def leave_run(ledger: Ledger, arguments: list[Any], task: str, worker: str) -> bool:
    """Record that ``worker`` leaves a message to newer ones; False if its run needs it no more.

    Raises BadMessage if no run is named, and UnknownName if it is not on record.
    """
    run_id = read_run_id(arguments[0] if arguments else None)
    if ledger.state(run_id) not in WORKING:
        return False
    refusal = SpecRefused(
        f"the worker {worker} of version {__version__} does not know the task {task} of this run",
        "Start workers of the version that started the run: pip install -U dataworks",
    )
    log.warning("%s: %s; the message is left to another worker", run_id, refusal)
    ledger.note_error(run_id, str(refusal))
    return True
