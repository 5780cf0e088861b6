"""The dispatcher: bounded, exact, and patient with whoever loses messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import fakeredis
import pytest

from dataworks_tasks.broker.messages import RangeMessage
from dataworks_tasks.errors import LedgerUnavailable
from dataworks_tasks.ledger.contract import RangeResult, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationJob, GenerationPart, RunSpec
from producer.drive import dispatch
from producer.drive.dispatch import Dispatcher
from producer.drive.message_queue import MessageQueue
from producer.drive.observation import Observation, QueueDepth, StopRequest


class WorkingQueue(MessageQueue):
    """A queue with a worker at its end that does, and loses, what the test says."""

    def __init__(self, ledger: RedisLedger, run_id: str, lose: Iterable[int] = ()) -> None:
        self.ledger = ledger
        self.run_id = run_id
        self.lose = set(lose)
        self.waiting: list[BatchRange] = []
        self.sent: list[BatchRange] = []
        self.finishes = 0
        self.longest = 0

    def send(self, messages: Sequence[RangeMessage]) -> None:
        for message in messages:
            if len(self.sent) not in self.lose:
                self.waiting.append(message.range)
            self.sent.append(message.range)
        self.longest = max(self.longest, len(self.waiting))

    def send_finish(self, run_id: str) -> None:
        self.finishes += 1
        self.ledger.change_state(run_id, frozenset({RunState.RUNNING}), RunState.COMPLETE)

    def depth(self) -> QueueDepth:
        return QueueDepth(len(self.waiting), 0)

    def work(self, count: int) -> None:
        for _ in range(min(count, len(self.waiting))):
            done = self.waiting.pop(0)
            result = RangeResult({"documents": done.size})
            if self.ledger.acknowledge(self.run_id, done, result).closed_last_gap:
                self.send_finish(self.run_id)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(dispatch, "_OUTAGE_POLL_SECONDS", 0.0)
    monkeypatch.setattr(dispatch, "_EMPTY_QUEUE_SECONDS", 0.01)


@pytest.fixture
def ledger() -> RedisLedger:
    return RedisLedger(fakeredis.FakeRedis())


def recorded_run(ledger: RedisLedger, total: int, batch_size: int = 10) -> RunSpec:
    part = GenerationPart(namespace=Namespace("a", "b"), position=0, first=0, count=total)
    job = GenerationJob(name="t", seed=1, parts=(part,), probe_digest="-")
    spec = RunSpec(
        run_id="gen-test-1",
        created_at=datetime.now(UTC),
        batch_size=batch_size,
        target_fingerprint="h:1",
        job=job,
    )
    ledger.create(spec, total)
    return spec


def always(stop_request: StopRequest = StopRequest.NONE) -> StopRequest:
    return stop_request


def test_the_queue_never_holds_more_than_the_window(ledger: RedisLedger) -> None:
    spec = recorded_run(ledger, 995)
    queue = WorkingQueue(ledger, spec.run_id)
    dispatcher = Dispatcher(queue, ledger, spec, window=7)
    progress = dispatcher.drive(lambda _: queue.work(3), always)
    assert progress is not None
    assert progress.state is RunState.COMPLETE
    assert queue.longest <= 7
    assert queue.sent == list(BatchRange(0, 995).split(10)), "each range once, in order"


def test_lost_messages_are_sent_again(ledger: RedisLedger) -> None:
    spec = recorded_run(ledger, 100)
    queue = WorkingQueue(ledger, spec.run_id, lose={2, 3, 9, 10})
    progress = Dispatcher(queue, ledger, spec).drive(lambda _: queue.work(5), always)
    assert progress is not None
    assert progress.state is RunState.COMPLETE
    assert progress.counters["documents"] == 100


def test_a_lost_finish_is_asked_for_again(ledger: RedisLedger) -> None:
    spec = recorded_run(ledger, 10)
    ledger.acknowledge(spec.run_id, BatchRange(0, 10), RangeResult({}))
    queue = WorkingQueue(ledger, spec.run_id)
    progress = Dispatcher(queue, ledger, spec).drive(lambda _: None, always)
    assert (queue.finishes, queue.sent) == (1, [])
    assert progress is not None
    assert progress.state is RunState.COMPLETE


def test_resuming_sends_only_the_gaps(ledger: RedisLedger) -> None:
    spec = recorded_run(ledger, 100)
    for start, stop in [(0, 25), (40, 90)]:
        ledger.acknowledge(spec.run_id, BatchRange(start, stop), RangeResult({}))
    queue = WorkingQueue(ledger, spec.run_id)
    assert Dispatcher(queue, ledger, spec).send_all() == 3
    assert queue.sent == [BatchRange(25, 35), BatchRange(35, 40), BatchRange(90, 100)]


def test_messages_that_nobody_takes_are_not_doubled(ledger: RedisLedger) -> None:
    spec = recorded_run(ledger, 100)
    queue = WorkingQueue(ledger, spec.run_id)
    polls = iter(range(200))
    dispatcher = Dispatcher(queue, ledger, spec, stall_seconds=0.001)
    dispatcher.drive(
        lambda _: None,
        lambda: StopRequest.NONE if next(polls, None) is not None else StopRequest.NOW,
    )
    assert len(queue.sent) == 10


def test_the_first_interrupt_waits_for_what_was_sent(ledger: RedisLedger) -> None:
    spec = recorded_run(ledger, 1000)
    queue = WorkingQueue(ledger, spec.run_id)
    stop_requests = iter([StopRequest.NONE] * 9)

    def should_stop() -> StopRequest:
        return next(stop_requests, StopRequest.WHEN_SENT_IS_DONE)

    progress = Dispatcher(queue, ledger, spec, window=4).drive(lambda _: queue.work(1), should_stop)
    assert progress is not None
    assert queue.waiting == []
    assert 0 < progress.acknowledged < 1000
    assert list(ledger.gaps(spec.run_id)) == [BatchRange(progress.acknowledged, 1000)]


def test_an_outage_is_waited_out(ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = recorded_run(ledger, 50)
    queue = WorkingQueue(ledger, spec.run_id)
    outages = [LedgerUnavailable("Redis does not answer: refused")] * 3
    real = ledger.progress

    def progress(run_id: str) -> object:
        if outages:
            raise outages.pop()
        return real(run_id)

    monkeypatch.setattr(ledger, "progress", progress)
    seen: list[Observation] = []

    def observe(observation: Observation) -> None:
        seen.append(observation)
        queue.work(2)

    last = Dispatcher(queue, ledger, spec).drive(observe, always)
    assert last is not None
    assert last.state is RunState.COMPLETE
    assert [bool(observation.outage) for observation in seen[:3]] == [True] * 3
