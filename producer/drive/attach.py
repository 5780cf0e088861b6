"""Start a run and watch it until it ends, or until the person leaves."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

from dataworks_tasks.drive.start_run import start_run
from dataworks_tasks.errors import RunFailed, TransientError, UnknownName
from dataworks_tasks.ledger.contract import WORKING, RunProgress
from dataworks_tasks.runs.spec import RunSpec
from producer.connections import Connections
from producer.drive.causes import Causes
from producer.drive.ending_signals import handled
from producer.drive.interrupt_notice import interrupt_notice
from producer.drive.message_queue import MessageQueue
from producer.drive.observation import Observation, RunView, StopRequest
from producer.drive.pauses import Pauses

_OUTAGE_POLL_SECONDS = 1.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a command in time for it to restore its terminal and its run."""


def set_going(connections: Connections, spec: RunSpec) -> None:
    """Send the run's first messages; workers do the rest, whatever happens to this process."""
    ledger = connections.ledger
    connections.start_workers()
    if ledger.state(spec.run_id) in WORKING:
        MessageQueue(connections.app).check()
        start_run(connections.app, ledger, spec, connections.config.queue)


def _is_set_going(connections: Connections, spec: RunSpec) -> bool:
    """Start the run; False if that failed for a cause that ``stay`` waits for or explains."""
    try:
        set_going(connections, spec)
    except (TransientError, UnknownName):
        return False
    return True


def attach(
    connections: Connections, spec: RunSpec, create_view: Callable[[], RunView]
) -> RunProgress | None:
    """Start the run and show it; None when Redis never answered. Ctrl-C leaves at once.

    ``create_view`` is called after the workers have begun, because drawing takes a while to import.
    """
    with _interrupts(connections, spec.run_id) as interrupts:
        # Not in the next line, which would wait for workers that cannot start.
        connections.start_workers()
        going = _is_set_going(connections, spec)
        with create_view() as view:
            interrupts.show_with(view)
            stop = interrupts.stop_request
            progress = stay(connections, spec, view.observe, stop, is_going=going)
        if progress is None and going:
            return connections.ledger.progress(spec.run_id)
        return progress


def stay(
    connections: Connections,
    spec: RunSpec,
    observe: Callable[[Observation], None],
    should_stop: Callable[[], StopRequest],
    *,
    is_going: bool = False,
) -> RunProgress | None:
    """Start the run, and watch it until it ends or ``should_stop``; return its last progress.

    It waits through outages of Redis. Raises RunFailed when Redis has lost the run.
    """
    ledger, queue = connections.watched_ledger, MessageQueue(connections.app)
    progress: RunProgress | None = None
    causes, pauses = Causes(ledger), Pauses()
    try:
        while should_stop() is not StopRequest.NOW:
            try:
                if not is_going:
                    ledger.ping()
                    set_going(connections, spec)
                    is_going = True
                progress = ledger.progress(spec.run_id)
                observe(Observation(progress, queue.depth(), standstill=causes.of(progress)))
                if progress.state not in WORKING:
                    return progress
                time.sleep(pauses.after(progress))
            except TransientError as error:
                causes.note_outage()
                observe(Observation(progress, None, outage=str(error)))
                time.sleep(_OUTAGE_POLL_SECONDS)
    except UnknownName:
        raise RunFailed(
            f"Redis has lost run {spec.run_id} and everything known of it",
            f"Record it again: dataworks resume {spec.run_id} --rebuild",
        ) from None
    return progress


class _Interrupts:
    def __init__(self, connections: Connections, run_id: str) -> None:
        self._alone = connections.alone
        self._run_id = run_id
        self._view: RunView | None = None
        self._is_requested = False
        self._is_said = False

    def show_with(self, view: RunView) -> None:
        """Show in ``view`` what an interrupt does, even one that came earlier."""
        self._view = view

    def stop_request(self) -> StopRequest:
        if not self._is_requested:
            return StopRequest.NONE
        if self._view is not None and not self._is_said:
            self._is_said = True
            self._say(self._view)
        return StopRequest.NOW

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        # Nothing is printed here: the signal may have come in the middle of a write to the same
        # stream, which Python refuses with a RuntimeError.
        self._is_requested = True

    def _say(self, view: RunView) -> None:
        view.say(interrupt_notice(self._run_id, alone=self._alone))


@contextmanager
def _interrupts(connections: Connections, run_id: str) -> Iterator[_Interrupts]:
    interrupts = _Interrupts(connections, run_id)
    if current_thread() is not main_thread():
        yield interrupts
        return
    with handled(_ENDING, interrupts):
        yield interrupts
