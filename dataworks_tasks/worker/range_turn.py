"""Process one message: take its range, work on it for a turn, and leave it."""

from __future__ import annotations

import logging
import random
import time

from celery import Celery

from dataworks_tasks.broker.messages import RangeMessage
from dataworks_tasks.broker.run_queue import RunQueue
from dataworks_tasks.errors import (
    BadMessage,
    DataWorksError,
    LedgerUnavailable,
    SettingsError,
    SpecRefused,
    TransientError,
    UnexpectedError,
)
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.windows import Release, TakenRange, Taking
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.unexpected import check_tries, unexpected_errors
from dataworks_tasks.worker.hand_keeper import HAND_SECONDS
from dataworks_tasks.worker.identity import process_is_gone
from dataworks_tasks.worker.poison import isolate
from dataworks_tasks.worker.process import WorkerProcess
from dataworks_tasks.worker.run_range import RangeOutcome, run_range

log = logging.getLogger(__name__)

_LONGEST_RETRY_SECONDS = 15.0
_LONGEST_AWAY_SECONDS = 5.0


def work_on(process: WorkerProcess, app: Celery, message: RangeMessage, queue: str) -> None:
    """Do what can be done of the message's range, and schedule the rest.

    ``queue``: where the message came from. Raises UnknownName, BadMessage, TerminalError and
    LedgerUnavailable.
    """
    _Turn(process, app, message, queue).work()


class _Turn:
    def __init__(
        self, process: WorkerProcess, app: Celery, message: RangeMessage, queue: str
    ) -> None:
        self._process = process
        self._windows = process.ledger.windows
        self._message = message
        self._run_id = message.run_id
        self._spec = spec = process.spec(message.run_id)
        if spec.kind is not message.kind:
            raise BadMessage(
                f"a {message.kind} message names {message.run_id}, which is a {spec.kind}",
                "Only dataworks itself should write to its queue",
            )
        self._queue = RunQueue(app, process.ledger, spec, queue)

    def work(self) -> None:
        taken = self._take()
        if taken.taking is not Taking.TAKEN:
            return
        with self._process.keeper.holding(self._run_id, self._message.range.start):
            self._work(taken)

    def _take(self) -> TakenRange:
        wanted, name = self._message.range, self._process.name
        taken = self._windows.take(self._run_id, wanted, name, HAND_SECONDS)
        if taken.taking is Taking.HELD and process_is_gone(taken.holder):
            self._queue.send(taken.to_send)
            taken = self._windows.take(self._run_id, wanted, name, HAND_SECONDS, dead=True)
        self._queue.send(taken.to_send)
        if taken.taking is Taking.BEYOND:
            raise BadMessage(
                f"{wanted} of {self._run_id} is not part of the run's plan",
                "The message is from before Redis lost data, or another program wrote it",
            )
        if taken.taking is not Taking.TAKEN:
            log.info("the range is left alone: %s", taken.taking)
        return taken

    def _work(self, taken: TakenRange) -> None:
        try:
            with unexpected_errors():
                isolated = isolate(self._process, self._message, taken.deaths)
                if isolated is not None:
                    self._release(isolated)
                    return
                run = self._process.open_run(self._run_id)
                run.rate_limiter.begin_turn(among_others=taken.others > 0)
                outcome = run_range(
                    self._process, self._message, taken.others, lambda: run.rate_limiter.is_short
                )
        except LedgerUnavailable:
            raise
        except UnexpectedError as error:
            self._put_off(taken, error)
            check_tries(self._process.ledger, self._run_id, str(self._message.range), error)
        except TransientError as error:
            self._put_off(taken, error)
        except (SpecRefused, SettingsError) as error:
            self._leave_to_others(taken, error)
        else:
            self._process.accepted(self._run_id)
            self._release(_left(outcome, run.rate_limiter.short_seconds))
            if outcome.closed_last_gap:
                failpoint("enqueue.before")
                self._queue.send_finish()
                failpoint("enqueue.after")

    def _put_off(self, taken: TakenRange, error: TransientError) -> None:
        """Schedule another attempt at the range, by any process that is free then."""
        longest = min(_LONGEST_RETRY_SECONDS, 0.5 * 2.0 ** min(taken.tries, 10))
        pause = random.uniform(0.1, longest)
        log.warning(
            "%s; what is acknowledged stays, retrying the rest of the range in %.1f s (try %d)",
            error,
            pause,
            taken.tries + 2,
        )
        self._process.ledger.note_error(self._run_id, str(error))
        progressed = isinstance(error, UnexpectedError) and error.progressed
        self._release(Release([self._message.range], pause, progressed=progressed, failed=True))

    def _leave_to_others(self, taken: TakenRange, error: DataWorksError) -> None:
        """Return the message at once, and pause if the queue holds only this run.

        Another worker may be the right one, and this process would only take the message again.
        """
        refusals = self._process.refused(self._run_id)
        away = min(_LONGEST_AWAY_SECONDS, 0.25 * 2.0**refusals) if not taken.others else 0.0
        log.warning("%s; the range is left to other workers", error)
        self._process.ledger.note_error(self._run_id, str(error))
        self._release(Release([self._message.range], failed=True))
        time.sleep(away)

    def _release(self, release: Release) -> None:
        start, name = self._message.range.start, self._process.name
        self._queue.send(self._windows.release(self._run_id, start, name, release))


def _left(outcome: RangeOutcome, short: float | None) -> Release:
    """Return how to leave a range that was worked on; ``short``: when its tokens are available."""
    if not outcome.left:
        return Release(progressed=outcome.progressed)
    # One message for all of it: what is acknowledged in between is skipped.
    rest = BatchRange(outcome.left[0].start, outcome.left[-1].stop)
    if short is None:
        return Release([rest], progressed=outcome.progressed)
    return Release([rest], short, progressed=outcome.progressed, parks=True)
