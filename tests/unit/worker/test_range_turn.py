"""What a worker does with a message: take it, work, leave it, postpone it, or return it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import fakeredis
import pytest

from dataworks_tasks.broker.messages import RangeMessage
from dataworks_tasks.errors import (
    BadMessage,
    LedgerUnavailable,
    RunFailed,
    SettingsError,
    SpecRefused,
    StoreUnavailable,
    UnexpectedError,
)
from dataworks_tasks.ledger.contract import RangeResult, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.windows import Release
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import RunKind
from dataworks_tasks.worker import range_turn
from dataworks_tasks.worker.identity import process_name
from dataworks_tasks.worker.range_turn import work_on
from dataworks_tasks.worker.run_range import RangeOutcome
from tests.contract.contract_support import generation_spec

QUEUE = "fleet"


class Queue:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[BatchRange] = []
        self.finishes = 0

    def send(self, ranges: Sequence[BatchRange]) -> None:
        self.sent += ranges

    def send_finish(self) -> None:
        self.finishes += 1


class Worker:
    """A worker on a run of ranges of ten; ``answer`` is what working on a range comes to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, total: int = 100) -> None:
        self.ledger = RedisLedger(fakeredis.FakeRedis())
        self.spec = generation_spec(total)
        self.ledger.create(self.spec, total, QUEUE, ["watch"])
        self.ledger.windows.open(self.spec.run_id, QUEUE, 10, 2)
        self.queue = Queue()
        self.queue.send(self.ledger.windows.refill(self.spec.run_id))
        self.answer: RangeOutcome | Exception = RangeOutcome()
        self.turns: list[bool] = []
        self.held: list[tuple[str, int]] = []
        self.asked: list[tuple[int, bool]] = []
        self.pauses: list[tuple[float, float]] = []
        self.slept: list[float] = []
        self.refusals = 0
        self.short: float | None = None
        monkeypatch.setattr(range_turn, "RunQueue", self._open_queue)
        monkeypatch.setattr(range_turn, "run_range", self._run_range)
        # Of this module alone: threads of the driver sleep, too.
        monkeypatch.setattr(range_turn, "random", SimpleNamespace(uniform=self._uniform))
        monkeypatch.setattr(range_turn, "time", SimpleNamespace(sleep=self.slept.append))
        self.name = "host-1:17"
        self.process = cast("Any", self)
        self.keeper = self

    def _open_queue(self, app: object, ledger: object, spec: object, name: str) -> Queue:
        assert (ledger, spec, name) == (self.ledger, self.spec, QUEUE)
        return self.queue

    def _run_range(
        self, process: object, message: RangeMessage, others: int, leaves: Any
    ) -> RangeOutcome:
        self.asked.append((others, leaves()))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def _uniform(self, low: float, high: float) -> float:
        self.pauses.append((low, high))
        return high

    # What a worker's process offers.

    def spec_of(self, run_id: str) -> Any:
        return self.spec

    @contextmanager
    def holding(self, run_id: str, start: int) -> Any:
        self.held.append((run_id, start))
        yield

    def open_run(self, run_id: str) -> Any:
        limiter = SimpleNamespace(
            begin_turn=lambda *, among_others: self.turns.append(among_others),
            is_short=self.short is not None,
            short_seconds=self.short,
        )
        return SimpleNamespace(rate_limiter=limiter)

    def accepted(self, run_id: str) -> None:
        self.refusals = 0

    def refused(self, run_id: str) -> int:
        self.refusals += 1
        return self.refusals - 1

    def work(self, start: int = 0, stop: int = 10, kind: RunKind = RunKind.GENERATION) -> None:
        process = SimpleNamespace(
            name=self.name,
            ledger=self.ledger,
            spec=self.spec_of,
            keeper=self,
            open_run=self.open_run,
            accepted=self.accepted,
            refused=self.refused,
        )
        message = RangeMessage(kind, self.spec.run_id, BatchRange(start, stop))
        work_on(cast("Any", process), cast("Any", None), message, QUEUE)

    @property
    def in_hand(self) -> tuple[BatchRange, ...]:
        return self.ledger.windows.in_hand(self.spec.run_id)

    def sent(self) -> list[BatchRange]:
        found, self.queue.sent = self.queue.sent, []
        return found

    @property
    def put_off(self) -> tuple[BatchRange, ...]:
        return self.ledger.windows.look(self.spec.run_id).put_off


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    made = Worker(monkeypatch)
    made.sent()
    return made


def test_a_range_is_taken_held_worked_on_and_left(worker: Worker) -> None:
    worker.work()
    assert worker.held == [(worker.spec.run_id, 0)]
    assert worker.turns == [False]
    assert worker.asked == [(0, False)]
    assert worker.sent() == [(20, 30)], "the message that takes its place"
    assert worker.in_hand == ()
    assert worker.queue.finishes == 0


def test_a_turn_among_others_is_short(worker: Worker) -> None:
    other = generation_spec(10)
    worker.ledger.create(other, 10, QUEUE, ["watch"])
    worker.ledger.windows.open(other.run_id, QUEUE, 10, 2)
    worker.work()
    assert worker.turns == [True]
    assert worker.asked == [(1, False)]


def test_what_is_left_comes_again_in_one_message(worker: Worker) -> None:
    worker.answer = RangeOutcome((BatchRange(3, 5), BatchRange(7, 10)), progressed=True)
    worker.work()
    worker.sent()
    worker.work(10, 20)
    assert BatchRange(3, 10) in worker.sent()
    assert worker.ledger.windows.look(worker.spec.run_id).parked_seconds == 0


def test_a_run_without_tokens_is_parked(worker: Worker) -> None:
    worker.answer = RangeOutcome((BatchRange(3, 10),))
    worker.short = 40.0
    worker.work()
    seen = worker.ledger.windows.look(worker.spec.run_id)
    assert worker.asked == [(0, True)]
    assert seen.parked_seconds == pytest.approx(40, abs=1)
    assert seen.put_off == ((3, 10),)


def test_a_range_that_is_complete_parks_nothing(worker: Worker) -> None:
    worker.short = 40.0
    worker.work()
    assert worker.ledger.windows.look(worker.spec.run_id).parked_seconds == 0


def test_who_closes_the_last_gap_asks_for_the_finish(worker: Worker) -> None:
    worker.answer = RangeOutcome(closed_last_gap=True)
    worker.work()
    assert worker.queue.finishes == 1


@pytest.mark.parametrize(
    ("tries", "longest"), [(0, 0.5), (1, 1.0), (4, 8.0), (5, 15.0), (40, 15.0)]
)
def test_trouble_that_passes_puts_the_range_off(worker: Worker, tries: int, longest: float) -> None:
    for _ in range(tries):
        worker.ledger.windows.take(worker.spec.run_id, BatchRange(0, 10), "host-1:17", 5)
        release = Release([], failed=True)
        worker.ledger.windows.release(worker.spec.run_id, 0, "host-1:17", release)
    worker.answer = StoreUnavailable("the database does not answer")
    worker.work()
    assert worker.pauses == [(0.1, longest)]
    assert worker.put_off == ((0, 10),)
    assert worker.in_hand == ()
    progress = worker.ledger.progress(worker.spec.run_id)
    assert progress.last_error == "the database does not answer"
    assert progress.state is RunState.RUNNING
    taken = worker.ledger.windows.take(worker.spec.run_id, BatchRange(0, 10), "w2", 5)
    assert taken.tries == tries + 1


def test_what_nobody_foresaw_ends_the_run_after_some_tries(worker: Worker) -> None:
    worker.answer = UnexpectedError("KeyError: 'x'")
    for _ in range(5):
        worker.work()
    with pytest.raises(RunFailed, match=r"\[0:10\) failed 6 times in a row"):
        worker.work()


def test_a_part_that_was_acknowledged_counts_as_progress(worker: Worker) -> None:
    worker.answer = UnexpectedError("KeyError: 'x'", "", True)
    for _ in range(8):
        worker.work()
    taken = worker.ledger.windows.take(worker.spec.run_id, BatchRange(0, 10), "w2", 5)
    assert taken.tries == 1, "counted since it moved last"


def test_an_exception_of_any_kind_is_noted_and_put_off(worker: Worker) -> None:
    worker.answer = ZeroDivisionError("by zero")
    worker.work()
    error = worker.ledger.progress(worker.spec.run_id).last_error or ""
    assert error.startswith("ZeroDivisionError: by zero")
    assert worker.put_off == ((0, 10),)


@pytest.mark.parametrize("error", [SpecRefused("other servers"), SettingsError("no target")])
def test_who_must_not_work_on_it_leaves_it_to_others(worker: Worker, error: Exception) -> None:
    worker.answer = error
    for _ in range(7):
        worker.work()
    assert worker.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0], "longer each time"
    assert worker.ledger.progress(worker.spec.run_id).last_error == str(error)
    assert worker.in_hand == ()
    assert worker.put_off == ((0, 10),), "to be sent at once, when there is room"
    worker.answer = RangeOutcome()
    worker.work()
    assert worker.refusals == 0


def test_a_refusing_worker_does_not_wait_while_other_runs_need_it(worker: Worker) -> None:
    other = generation_spec(10)
    worker.ledger.create(other, 10, QUEUE, ["watch"])
    worker.ledger.windows.open(other.run_id, QUEUE, 10, 2)
    worker.answer = SpecRefused("other servers")
    worker.work()
    assert worker.slept == [0.0]


def test_a_ledger_that_is_away_keeps_the_message(worker: Worker) -> None:
    worker.answer = LedgerUnavailable("Redis does not answer")
    with pytest.raises(LedgerUnavailable):
        worker.work()
    assert worker.in_hand == ((0, 10),), "until it is forgotten by itself"


def test_a_range_in_another_hand_is_left_alone(worker: Worker) -> None:
    worker.ledger.windows.take(worker.spec.run_id, BatchRange(0, 10), "host-2:3", 60)
    worker.work()
    assert worker.asked == []
    assert worker.in_hand == ((0, 10),)


def test_a_range_of_a_process_that_is_gone_is_taken_over(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = process_name().rpartition(":")[0] + ":999999999"
    worker.ledger.windows.take(worker.spec.run_id, BatchRange(0, 10), gone, 60)
    seen: list[int] = []

    def isolate(process: object, message: object, deaths: int) -> None:
        seen.append(deaths)

    monkeypatch.setattr(range_turn, "isolate", isolate)
    worker.work()
    assert worker.asked == [(0, False)]
    assert seen == [1], "its death is counted"


def test_a_deadly_range_is_split_and_not_tried(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [BatchRange(0, 5), BatchRange(5, 10)]
    monkeypatch.setattr(range_turn, "isolate", lambda *_: Release(parts, progressed=True))
    worker.work()
    assert worker.asked == []
    assert worker.in_hand == ()
    worker.sent()
    worker.work(10, 20)
    assert worker.sent()[0] == (0, 5)


def test_messages_of_a_run_that_has_ended_are_dropped(worker: Worker) -> None:
    running = frozenset({RunState.RUNNING})
    worker.ledger.change_state(worker.spec.run_id, running, RunState.CANCELLED)
    worker.work()
    assert worker.asked == []
    assert worker.in_hand == ()


def test_messages_that_do_not_fit_the_run_are_refused(worker: Worker) -> None:
    with pytest.raises(BadMessage) as beyond:
        worker.work(95, 105)
    assert beyond.value.fact == (f"[95:105) of {worker.spec.run_id} is not part of the run's plan")
    assert (
        beyond.value.remedy
        == "The message is from before Redis lost data, or another program wrote it"
    )
    with pytest.raises(BadMessage) as kind:
        worker.work(kind=RunKind.MIGRATION)
    assert kind.value.fact == (
        f"a migration message names {worker.spec.run_id}, which is a generation"
    )
    assert kind.value.remedy == "Only dataworks itself should write to its queue"


def test_what_is_acknowledged_is_done_once(worker: Worker) -> None:
    worker.ledger.acknowledge(worker.spec.run_id, BatchRange(0, 10), RangeResult({}))
    worker.work()
    assert worker.in_hand == ()
