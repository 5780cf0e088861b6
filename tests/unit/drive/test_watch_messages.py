"""A run's driver: what it sends, what it considers lost, and when it requests the finish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import fakeredis
import pytest

from dataworks_tasks.drive.message_room import MOST_ROOM, ROOM, open_window
from dataworks_tasks.drive.steps import STEPS
from dataworks_tasks.drive.watch_messages import WatchMessages, wanted_processes
from dataworks_tasks.driver_step import Drive
from dataworks_tasks.ledger.contract import PlanEnd, RangeResult, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.windows import DueStep, Release, Taking, WindowState
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.choices import Priority
from dataworks_tasks.runs.driver_steps import FOLLOW, PLAN, SCAN_DELETES, WATCH, step_names
from dataworks_tasks.runs.spec import RunSpec
from tests.contract.contract_support import generation_spec, migration_spec

QUEUE = "fleet"
DONE = RangeResult({})


@dataclass
class Queue:
    """Keeps what is sent."""

    name: str = QUEUE
    sent: list[BatchRange] = field(default_factory=list)
    finishes: int = 0

    def send(self, ranges: Sequence[BatchRange], *, first: bool = False) -> None:
        self.sent += ranges

    def send_finish(self) -> None:
        self.finishes += 1

    def take(self) -> list[BatchRange]:
        """Return what was sent since the last call."""
        found, self.sent = self.sent, []
        return found


@dataclass
class Lease:
    position: str = ""

    def note(self, position: str) -> None:
        self.position = position


@dataclass
class Config:
    stall_seconds: float = 6.0


class Driven:
    """A run of ranges of ten, and its driver."""

    def __init__(self, spec: RunSpec, total: int | None) -> None:
        self.redis = fakeredis.FakeRedis()
        self.ledger = RedisLedger(self.redis)
        self.spec = spec
        self.ledger.create(spec, total, QUEUE, ["watch"])
        self.queue, self.lease = Queue(), Lease()
        self.config = Config()
        self.now: float | None = None
        self._look = self.ledger.windows.look
        self.ledger.windows.look = self._look_at_its_time  # type: ignore[method-assign]

    def _look_at_its_time(self, run_id: str) -> WindowState:
        seen = self._look(run_id)
        return seen if self.now is None else replace(seen, now=self.now)

    def watch(self) -> float | None:
        self.ledger.windows.probe(self.spec.run_id)
        drive = Drive(
            self.spec,
            cast("Any", self.config),
            self.ledger,
            cast("Any", self.queue),
            cast("Any", None),
            cast("Any", self.lease),
        )
        return WatchMessages().run(drive)

    def looked(self, seconds: float = 2.0, takes: int = 0) -> None:
        """Pretend that the last check was ``seconds`` ago, with ``takes`` more taken messages.

        No more time passes for the driver after that.
        """
        seen = self.ledger.windows.look(self.spec.run_id)
        self.now = seen.now
        self.lease.position = f"{seen.takes - takes} {seen.now - seconds:.3f}"

    def take(self, start: int, holder: str = "w1") -> None:
        wanted = BatchRange(start, start + 10)
        taken = self.ledger.windows.take(self.spec.run_id, wanted, holder, 60)
        assert taken.taking is Taking.TAKEN
        self.queue.send(taken.to_send)

    def acknowledge(self, start: int, stop: int) -> None:
        self.ledger.acknowledge(self.spec.run_id, BatchRange(start, stop), DONE)


def generation(total: int = 100, **more: object) -> Driven:
    return Driven(generation_spec(total).model_copy(update=more), total)


def ranges(*starts: int) -> list[BatchRange]:
    return [BatchRange(start, start + 10) for start in starts]


def test_the_first_look_opens_the_window_and_fills_it() -> None:
    run = generation()
    assert run.watch() == 1.0
    assert run.queue.take() == ranges(0, 10)
    takes, moment = run.lease.position.split()
    assert takes == "0"
    assert float(moment) > 1e9


@pytest.mark.parametrize("priority", [None, *Priority])
def test_the_room_is_that_of_the_priority(priority: Priority | None) -> None:
    run = generation(1000, priority=priority)
    run.watch()
    assert len(run.queue.take()) == {None: 2, "low": 1, "normal": 2, "high": 8}[priority]
    assert ROOM[Priority.NORMAL] == 2


def test_slices_are_sent_one_by_one() -> None:
    run = Driven(migration_spec(), None)
    run.ledger.append_slices(run.spec.run_id, PlanEnd(), [b"a", b"b", b"c"], 3)
    open_window(run.ledger, run.spec, QUEUE)
    assert run.ledger.windows.refill(run.spec.run_id) == (BatchRange(0, 1), BatchRange(1, 2))


def test_no_more_processes_work_than_the_run_may_have() -> None:
    run = generation(max_processes=1)
    run.watch()
    assert run.queue.take() == ranges(0)


def test_what_was_sent_and_is_missing_in_two_looks_is_sent_again() -> None:
    run = generation()
    run.watch()
    assert run.queue.take() == ranges(0, 10)  # both get lost
    run.looked()
    assert run.watch() == 1.0, "something is missing: look again soon"
    assert run.queue.take() == ranges(20, 30), "nothing is known to be lost yet"
    run.looked()
    run.watch()
    assert set(ranges(0, 10)) <= set(run.queue.take())


def test_what_is_acknowledged_in_hand_or_put_off_is_not_missing() -> None:
    run = generation(30)
    run.watch()
    run.take(0)
    run.take(10)
    run.acknowledge(20, 30)
    run.ledger.windows.release(
        run.spec.run_id, 10, "w1", Release([BatchRange(10, 20)], 60.0, failed=True)
    )
    run.queue.take()
    for _ in range(3):
        run.looked()
        run.watch()
        assert run.queue.take() == []
    assert run.ledger.windows.look(run.spec.run_id).suspects == ()


def test_a_part_of_a_range_may_be_missing() -> None:
    run = generation(20)
    run.watch()
    run.queue.take()
    run.acknowledge(0, 4)
    run.acknowledge(6, 20)
    for _ in range(3):
        run.looked()
        run.watch()
    assert BatchRange(4, 6) in run.queue.take()


def test_nothing_is_missing_while_the_run_waits_for_tokens() -> None:
    run = generation()
    run.watch()
    run.take(0)
    run.queue.take()
    run.ledger.windows.release(
        run.spec.run_id, 0, "w1", Release([BatchRange(0, 10)], 60.0, parks=True)
    )
    for _ in range(3):
        run.looked()
        run.watch()
        assert run.queue.take() == []


def test_a_busy_run_has_more_room() -> None:
    run = generation(10_000)
    run.watch()
    run.queue.take()
    run.looked(seconds=1.0, takes=0)
    run.lease.position = f"-550 {float(run.lease.position.split()[1]):.3f}"
    run.watch()
    assert len(run.queue.take()) == 7, "two, and as many as are taken in a hundredth of a second"
    run.looked(seconds=1.0)
    run.lease.position = f"-1000000 {float(run.lease.position.split()[1]):.3f}"
    run.watch()
    assert len(run.queue.take()) == MOST_ROOM == 32


def test_probes_that_come_together_change_nothing() -> None:
    run = generation()
    run.watch()
    run.queue.take()
    run.looked(seconds=0.1)
    before = run.lease.position
    assert run.watch() == 1.0
    assert run.lease.position == before
    assert run.queue.take() == []
    run.looked(seconds=0.31)
    run.watch()
    assert run.lease.position != before


@pytest.mark.parametrize(("stall", "wanted"), [(0.5, 1.0), (6.0, 3.0), (60.0, 5.0)])
def test_a_run_that_moves_is_looked_at_less_often(stall: float, wanted: float) -> None:
    run = generation(40)
    run.config.stall_seconds = stall
    run.watch()
    run.take(0)
    run.take(10)
    run.take(20)
    run.take(30)
    run.looked(takes=1)
    assert run.watch() == wanted
    run.looked(takes=0)
    assert run.watch() == 1.0, "nothing was taken"


def test_a_run_that_has_ended_is_left_alone() -> None:
    run = generation()
    run.watch()
    run.ledger.change_state(run.spec.run_id, frozenset({RunState.RUNNING}), RunState.CANCELLED)
    assert run.watch() is None
    due = DueStep(run.spec.run_id, "watch")
    assert due not in run.ledger.driver.claim(QUEUE, 10, 1)
    run.queue.take()
    assert run.queue.take() == []


def test_the_finish_is_asked_for_once_everything_is_acknowledged() -> None:
    run = generation(20)
    run.watch()
    assert run.queue.finishes == 0
    run.acknowledge(0, 20)
    run.looked()
    run.watch()
    run.looked()
    run.watch()
    assert run.queue.finishes == 1, "again after five seconds only"


def test_a_plan_that_was_lost_is_continued() -> None:
    run = Driven(migration_spec(), None)
    run.ledger.append_slices(run.spec.run_id, PlanEnd(), [b"a", b"b"], 2)
    run.watch()
    steps = {due.step for due in run.ledger.driver.claim(QUEUE, 10, 1)}
    assert "plan" in steps
    complete = generation()
    complete.watch()
    assert {due.step for due in complete.ledger.driver.claim(QUEUE, 10, 1)} == {"watch"}


def test_every_run_is_watched() -> None:
    assert step_names(generation_spec(1)) == ["watch"]
    assert WatchMessages.name == "watch"


def test_every_step_has_its_name() -> None:
    assert [step.name for step in STEPS] == [PLAN, FOLLOW, SCAN_DELETES, WATCH]


@pytest.mark.parametrize(
    ("left", "more", "hands", "wanted"),
    [
        (0, {}, 0, 1),
        (100, {}, 0, 10),
        (101, {}, 0, 11),
        (100, {"max_processes": 3}, 0, 3),
        (10, {"max_processes": 3}, 0, 1),
        (100, {"max_rate": 5.0}, 0, 1),
        (100, {"max_ru": 5.0}, 2, 3),
        (100, {"max_rate": 5.0, "max_processes": 2}, 2, 2),
    ],
)
def test_how_many_processes_a_run_could_use(
    left: int, more: dict[str, Any], hands: int, wanted: int
) -> None:
    run = generation(200, **more)
    run.watch()
    if left < 200:
        run.acknowledge(left, 200)
    for number in range(hands):
        run.ledger.windows.take(run.spec.run_id, BatchRange(number * 10, number * 10 + 10), "w", 60)
    seen = run.ledger.windows.look(run.spec.run_id)
    found = wanted_processes(run.spec, run.ledger.progress(run.spec.run_id), seen)
    assert found == wanted


@pytest.mark.parametrize(("hands", "wanted"), [(1, 1), (2, 2)])
def test_a_run_that_waits_for_tokens_wants_no_more(hands: int, wanted: int) -> None:
    run = generation(200, max_rate=5.0)
    run.watch()
    run.take(0)
    for number in range(1, hands + 1):
        run.take(10 * number)
    run.ledger.windows.release(
        run.spec.run_id, 0, "w1", Release([BatchRange(0, 10)], 60.0, parks=True)
    )
    seen = run.ledger.windows.look(run.spec.run_id)
    assert wanted_processes(run.spec, run.ledger.progress(run.spec.run_id), seen) == wanted


def test_a_run_that_nobody_works_on_still_wants_one() -> None:
    """In a fleet without workers, nothing would notice that tokens are back."""
    run = generation(200, max_rate=5.0)
    run.watch()
    run.take(0)
    run.ledger.windows.release(
        run.spec.run_id, 0, "w1", Release([BatchRange(0, 10)], 60.0, parks=True)
    )
    seen = run.ledger.windows.look(run.spec.run_id)
    assert wanted_processes(run.spec, run.ledger.progress(run.spec.run_id), seen) == 1
