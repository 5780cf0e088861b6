"""Send a run's gaps to the workers, and send again what got lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from dataworks_tasks.broker.messages import RangeMessage, range_message
from dataworks_tasks.errors import TransientError
from dataworks_tasks.ledger.contract import WORKING, Ledger, RunProgress, RunState
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import RunSpec
from producer.drive.message_queue import MessageQueue
from producer.drive.observation import Observation, QueueDepth, StopRequest

_POLL_SECONDS = 0.2
_OUTAGE_POLL_SECONDS = 1.0
_EMPTY_QUEUE_SECONDS = 3.0
_SENT_AT_ONCE = 500


class Dispatcher:
    """Keeps a bounded number of a run's messages in the queue until the run ends.

    What is sent is always what the ledger calls a gap, so a second dispatcher on the same run, or a
    message that comes twice, costs time and changes nothing.
    """

    def __init__(
        self,
        queue: MessageQueue,
        ledger: Ledger,
        spec: RunSpec,
        window: int = 200,
        stall_seconds: float = 15.0,
    ) -> None:
        self._queue = queue
        self._ledger = ledger
        self._spec = spec
        self._size = 1 if spec.is_sliced else spec.batch_size
        self._window = window
        self._sent_up_to = 0
        self._stall = _StallClock(stall_seconds)

    def send_all(self) -> int:
        """Send every gap there is beyond what this dispatcher sent; say how many messages."""
        count = 0
        while messages := self._next_messages(_SENT_AT_ONCE):
            self._queue.send(messages)
            count += len(messages)
        return count

    def drive(
        self, observe: Callable[[Observation], None], should_stop: Callable[[], StopRequest]
    ) -> RunProgress | None:
        """Stay with the run until it ends or is to be left; return its last known progress.

        An outage of Redis is waited out.
        """
        progress: RunProgress | None = None
        while should_stop() is not StopRequest.NOW:
            try:
                progress = self._ledger.progress(self._spec.run_id)
                depth = self._queue.depth()
                observe(Observation(progress, depth))
                if progress.state not in WORKING:
                    return progress
                if self._may_stop(should_stop()):
                    return self._ledger.progress(self._spec.run_id)
                self._step(progress, depth, sending=should_stop() is StopRequest.NONE)
                time.sleep(_POLL_SECONDS)
            except TransientError as error:
                observe(Observation(progress, None, outage=str(error)))
                time.sleep(_OUTAGE_POLL_SECONDS)
        return progress

    def _may_stop(self, stop_request: StopRequest) -> bool:
        return stop_request is StopRequest.WHEN_SENT_IS_DONE and not any(self._outstanding())

    def _step(self, progress: RunProgress, depth: QueueDepth, *, sending: bool) -> None:
        outstanding = sum(-(-gap.size // self._size) for gap in self._outstanding())
        if sending and (messages := self._next_messages(self._window - outstanding)):
            self._queue.send(messages)
            self._stall.moved()
            return
        if self._stall.is_stalled(dict(progress.counters), depth):
            self._send_again(progress)

    def _outstanding(self) -> Iterator[BatchRange]:
        """What was sent and is not acknowledged."""
        return self._ledger.gaps(self._spec.run_id, BatchRange(0, self._sent_up_to))

    def _send_again(self, progress: RunProgress) -> None:
        lost = [chunk for gap in self._outstanding() for chunk in gap.split(self._size)]
        self._queue.send([self._message(chunk) for chunk in lost])
        if progress.state is RunState.RUNNING and progress.acknowledged == progress.total:
            self._queue.send_finish(self._spec.run_id)

    def _next_messages(self, room: int) -> list[RangeMessage]:
        """At most ``room`` messages for gaps that were not sent yet."""
        messages: list[RangeMessage] = []
        planned = self._ledger.progress(self._spec.run_id).planned
        if room <= 0 or self._sent_up_to >= planned:
            return messages
        for gap in self._ledger.gaps(self._spec.run_id, BatchRange(self._sent_up_to, planned)):
            for chunk in gap.split(self._size):
                if len(messages) == room:
                    return messages
                messages.append(self._message(chunk))
                self._sent_up_to = chunk.stop
        self._sent_up_to = planned
        return messages

    def _message(self, chunk: BatchRange) -> RangeMessage:
        return range_message(self._spec, chunk)


class _StallClock:
    """Tells when messages must have got lost.

    With an empty queue and nothing in any worker's hands that is sure after a moment. While workers
    hold messages it is likely after ``stall_seconds`` without progress; each time that it did not
    help the next one comes later, so that an outage of the database does not fill the queue.
    """

    def __init__(self, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._patience = stall_seconds
        self._counters: dict[str, int] | None = None
        self._moved_at = time.monotonic()
        self._empty_since: float | None = None

    def moved(self) -> None:
        """Something was sent just now."""
        self._moved_at = time.monotonic()
        self._empty_since = None

    def is_stalled(self, counters: dict[str, int], depth: QueueDepth) -> bool:
        """Whether to send again; counts as sent when it says so.

        ``counters`` move with every part of a range: on a slow account whole ranges take minutes.
        """
        now = time.monotonic()
        if counters != self._counters:
            self._counters = counters
            self._patience = self._stall_seconds
            self.moved()
            return False
        if depth.waiting:
            self.moved()
            return False
        if depth.in_hand:
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = now
        lost = self._empty_since is not None and now - self._empty_since > _EMPTY_QUEUE_SECONDS
        if lost or now - self._moved_at > self._patience:
            self._patience = min(self._patience * 2, 120.0)
            self.moved()
            return True
        return False
