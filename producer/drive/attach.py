"""Stay with a run until it ends, or until the person leaves."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import current_thread, main_thread
from types import FrameType

from dataworks_tasks.errors import RunFailed, UnknownName
from dataworks_tasks.ledger.contract import RunProgress
from dataworks_tasks.runs.spec import RunSpec
from producer.connections import Connections
from producer.drive.dispatch import Dispatcher
from producer.drive.message_queue import MessageQueue
from producer.drive.observation import Observation, RunView, StopRequest
from producer.slicing.planning import Planner, PlannerThread, needs_planning


def create_dispatcher(connections: Connections, spec: RunSpec) -> Dispatcher:
    """A dispatcher with this process' settings."""
    config = connections.config
    queue = MessageQueue(connections.app)
    return Dispatcher(queue, connections.ledger, spec, config.send_window, config.stall_seconds)


def attach(connections: Connections, spec: RunSpec, view: RunView) -> RunProgress | None:
    """Send the run's messages and show it; None when Redis never answered.

    The first Ctrl-C stops sending and waits for what was sent; the second leaves at once.
    """
    with view, _interrupts(spec.run_id, view) as interrupts:
        return stay(connections, spec, view.observe, interrupts.stop_request)


def stay(
    connections: Connections,
    spec: RunSpec,
    observe: Callable[[Observation], None],
    should_stop: Callable[[], StopRequest],
) -> RunProgress | None:
    """Plan and send until the run ends or ``should_stop`` says so; see ``Dispatcher.drive``."""
    dispatcher = create_dispatcher(connections, spec)
    try:
        with _planning(connections, spec):
            return dispatcher.drive(observe, should_stop)
    except UnknownName:
        raise RunFailed(
            f"Redis has lost run {spec.run_id}, with all that was known of it",
            f"Record it again: dataworks resume {spec.run_id} --rebuild",
        ) from None


def send_everything(connections: Connections, spec: RunSpec) -> int:
    """Plan and send the whole run without waiting for workers; say how many messages that were."""
    dispatcher = create_dispatcher(connections, spec)
    if needs_planning(connections.ledger, spec):
        create_planner(connections, spec).plan()
    return dispatcher.send_all()


def create_planner(connections: Connections, spec: RunSpec) -> Planner:
    """A planner for the rest of the run's slices."""
    queue = MessageQueue(connections.app)
    return Planner(connections.ledger, connections.source, queue, spec)


def _planning(connections: Connections, spec: RunSpec) -> AbstractContextManager[object]:
    if not needs_planning(connections.ledger, spec):
        return nullcontext()
    planner = create_planner(connections, spec)
    return PlannerThread(planner, connections.ledger, spec.run_id)


class _Interrupts:
    def __init__(self, run_id: str, view: RunView) -> None:
        self._run_id = run_id
        self._view = view
        self.count = 0

    def stop_request(self) -> StopRequest:
        return (StopRequest.NONE, StopRequest.WHEN_SENT_IS_DONE, StopRequest.NOW)[
            min(self.count, 2)
        ]

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            self._view.say(
                "Stopping: the workers finish what was sent; Ctrl-C again leaves at once. "
                f"Go on later with: dataworks resume {self._run_id}"
            )


@contextmanager
def _interrupts(run_id: str, view: RunView) -> Iterator[_Interrupts]:
    interrupts = _Interrupts(run_id, view)
    if current_thread() is not main_thread():
        yield interrupts
        return
    before = signal.signal(signal.SIGINT, interrupts)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
