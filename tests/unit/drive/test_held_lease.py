"""The lease on a step: one holder, kept while it works, given back with what was done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import fakeredis
import pytest

from dataworks_tasks.drive.held_lease import HeldLease, StepHeld
from dataworks_tasks.errors import LedgerUnavailable, UnknownName
from dataworks_tasks.ledger import heartbeat
from dataworks_tasks.ledger.heartbeat import LEASE_SECONDS, Heartbeat
from dataworks_tasks.ledger.keys import RunKeys, due_key
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.windows import DueStep
from tests.contract.contract_support import generation_spec


class Leases:
    """A run with one step, and leases on it."""

    def __init__(self) -> None:
        self.redis = fakeredis.FakeRedis()
        self.ledger = RedisLedger(self.redis)
        spec = generation_spec(10)
        self.ledger.create(spec, 10, "fleet", ["watch"])
        self.due = DueStep(spec.run_id, "watch")

    def of(self, holder: str, is_over: Callable[[float], bool] = lambda _s: False) -> HeldLease:
        return HeldLease(self.ledger, self.due, "fleet", holder, is_over)

    def due_in(self) -> float | None:
        """Seconds until the step is due."""
        moment = self.redis.zscore(due_key("fleet"), f"{self.due.run_id} {self.due.step}")
        now = self.redis.time()
        return None if moment is None else float(moment) - now[0] - now[1] / 1e6


def test_only_one_has_it() -> None:
    leases = Leases()
    with (
        leases.of("me"),
        pytest.raises(StepHeld, match=f"another process is doing watch for {leases.due.run_id}"),
        leases.of("another"),
    ):
        pytest.fail("both have it")
    with leases.of("another"):
        pass


def test_the_lease_is_kept_by_a_daemon_thread() -> None:
    lease = Leases().of("me")
    assert lease.position == ""
    assert not lease.reached
    with lease:
        (thread,) = (one for one in threading.enumerate() if one.name == "hold-watch")
        assert thread.daemon, "a process that is asked to end does not wait for it"


def test_the_heartbeat_extends_the_lease(fast: None) -> None:
    leases = Leases()
    steps = RunKeys(leases.due.run_id).steps
    with leases.of("me"):
        first = float(leases.redis.hget(steps, "watch:until") or 0)
        deadline = time.monotonic() + 30
        until = first
        while until == first and time.monotonic() < deadline:
            threading.Event().wait(0.005)
            until = float(leases.redis.hget(steps, "watch:until") or 0)
        assert until > first


def test_the_heartbeat_notices_a_lost_lease(fast: None) -> None:
    leases = Leases()
    with leases.of("me") as lease:
        leases.redis.hset(RunKeys(leases.due.run_id).steps, "watch:holder", "another")
        deadline = time.monotonic() + 30
        while not lease.reached and time.monotonic() < deadline:
            threading.Event().wait(0.005)
        assert lease.reached


def test_the_position_goes_to_the_next_holder() -> None:
    leases = Leases()
    with leases.of("me") as lease:
        assert lease.position == ""
        lease.note("there")
        assert lease.position == "there"
        lease.position = "further"
    with leases.of("another") as lease:
        assert lease.position == "further"


def test_a_note_is_kept_although_the_holder_dies() -> None:
    leases = Leases()
    lease = leases.of("me")
    lease.__enter__()
    lease.note("there")
    assert leases.ledger.driver.hold(leases.due, "fleet", "me", 0) == "there"
    lease._heartbeat.stop()


@pytest.mark.parametrize(("again", "wanted"), [(0.0, 0.0), (30.0, 30.0)])
def test_the_step_is_due_again_when_its_holder_says(again: float, wanted: float) -> None:
    leases = Leases()
    with leases.of("me") as lease:
        assert lease.again == LEASE_SECONDS
        lease.again = again
    assert leases.due_in() == pytest.approx(wanted, abs=5)


def test_a_step_that_is_done_is_never_due_again() -> None:
    leases = Leases()
    with leases.of("me") as lease:
        lease.again = None
    assert leases.due_in() is None


def test_while_it_is_held_it_is_due_when_the_lease_ends() -> None:
    leases = Leases()
    with leases.of("me"):
        assert leases.due_in() == pytest.approx(LEASE_SECONDS, abs=2)


def test_a_lease_that_was_lost_is_not_given_back() -> None:
    leases = Leases()
    with leases.of("me") as lease:
        leases.ledger.driver.hold(leases.due, "fleet", "me", 0)
        with leases.of("another") as theirs:
            theirs.note("theirs")
            lease.note("mine")
            assert lease.reached
    assert leases.ledger.driver.hold(leases.due, "fleet", "third", 5) == "theirs"


def test_a_turn_ends_when_it_has_lasted_long_enough() -> None:
    leases = Leases()
    asked: list[float] = []

    def is_over(seconds: float) -> bool:
        asked.append(seconds)
        return len(asked) > 1

    with leases.of("me", is_over) as lease:
        assert not lease.reached
        assert lease.reached
    assert 0 <= asked[0] < 5


class Extended:
    """Counts heartbeats; each does what the next of ``answers`` says."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.beats = 0
        self.enough = threading.Event()

    def __call__(self) -> bool:
        self.beats += 1
        answer = self.answers.pop(0) if self.answers else True
        if not self.answers:
            self.enough.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_HEARTBEAT_SECONDS", 0.005)


def test_the_heart_beats_by_itself(fast: None) -> None:
    extend = Extended(True, True, True)
    with Heartbeat("test", extend) as beat:
        assert beat.lost is False
        assert extend.enough.wait(5)
    assert not beat.lost
    beats = extend.beats
    assert threading.Event().wait(0.02) is False
    assert extend.beats == beats, "not after the end"


def test_an_outage_of_redis_is_no_loss(fast: None) -> None:
    extend = Extended(LedgerUnavailable("away"), LedgerUnavailable("away"), True)
    with Heartbeat("test", extend) as beat:
        assert extend.enough.wait(5)
    assert not beat.lost
    assert extend.beats >= 3


def test_a_lease_that_somebody_else_has_is_lost(fast: None) -> None:
    extend = Extended(True, False)
    with Heartbeat("test", extend) as beat:
        assert extend.enough.wait(5)
        extend.answers = [False] * 1000
    assert beat.lost


def test_a_run_that_redis_lost_ends_the_heartbeat(fast: None) -> None:
    extend = Extended(UnknownName("no such run"))
    with Heartbeat("test", extend) as beat:
        assert extend.enough.wait(5)
        threading.Event().wait(0.05)
        assert beat.lost
        assert extend.beats == 1


def test_a_beat_can_be_asked_for() -> None:
    extend = Extended(True)
    with Heartbeat("test", extend) as beat:
        threading.Event().wait(0.02)
        assert extend.beats == 0
        beat.beat_soon()
        assert extend.enough.wait(1)
    assert extend.beats == 1
