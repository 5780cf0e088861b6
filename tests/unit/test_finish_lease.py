"""A lease to finish a run."""

from __future__ import annotations

import threading
import time
from threading import Event
from typing import cast

import fakeredis
import pytest

from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.ledger import heartbeat
from dataworks_tasks.ledger.contract import FinishState, Ledger
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.lease import StopSignal
from dataworks_tasks.worker.finish_lease import HeldFinishLease, LeaseHeld
from tests.contract.contract_support import generation_spec


class _Leases:
    """The part of a ledger that a lease needs."""

    def __init__(self) -> None:
        self.held = 0
        self.held_often = Event()

    def acquire_finish_lease(
        self, run_id: str, holder: str, seconds: float, state: FinishState | None = None
    ) -> str:
        self.held += 1
        if self.held > 3:
            self.held_often.set()
        return ""


def test_a_database_that_does_not_say_how_far_it_is_costs_no_lease(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(heartbeat, "_HEARTBEAT_SECONDS", 0.01)
    caplog.set_level("DEBUG", "dataworks_tasks.worker.finish_lease")

    def describe() -> str:
        raise StoreUnavailable("the server does not answer")

    leases = _Leases()
    with HeldFinishLease(cast("Ledger", leases), "gen-1", "me", cast("StopSignal", None)) as lease:
        lease.show(describe)
        assert leases.held_often.wait(10)
    expected = "the progress of finishing is not known: the server does not answer"
    assert caplog.messages[0] == expected


def test_the_last_line_that_was_known_stays_on_record(ledger: RedisLedger, run_id: str) -> None:
    lines = iter(["index 3 of 7"])

    def describe() -> str:
        line = next(lines, None)
        if line is None:
            raise StoreUnavailable("the server does not answer")
        return line

    with leased("me", ledger, run_id) as lease:
        lease.show(describe)
        deadline = time.monotonic() + 30
        while ledger.progress(run_id).finishing is None and time.monotonic() < deadline:
            Event().wait(0.005)
    assert ledger.progress(run_id).finishing == "index 3 of 7"


def test_a_finish_without_progress_shows_nothing(ledger: RedisLedger, run_id: str) -> None:
    with leased("me", ledger, run_id) as lease:
        assert not lease.position
        lease.note("there")
    assert not ledger.progress(run_id).finishing


def test_the_lease_is_kept_by_a_daemon_thread(ledger: RedisLedger, run_id: str) -> None:
    lease = leased("me", ledger, run_id)
    assert lease.position == ""
    assert not lease.reached
    with lease:
        (thread,) = (one for one in threading.enumerate() if one.name == "hold-finish")
        assert thread.daemon, "a process that is asked to end does not wait for it"


def leased(holder: str, ledger: RedisLedger, run_id: str, seconds: float = 60) -> HeldFinishLease:
    return HeldFinishLease(ledger, run_id, holder, StopSignal(time.monotonic() + seconds))


@pytest.fixture
def ledger() -> RedisLedger:
    return RedisLedger(fakeredis.FakeRedis())


@pytest.fixture
def run_id(ledger: RedisLedger) -> str:
    spec = generation_spec(10)
    ledger.create(spec, 10, "", [])
    return spec.run_id


def test_one_process_finishes_and_the_next_continues_there(
    ledger: RedisLedger, run_id: str
) -> None:
    with leased("me", ledger, run_id) as lease:
        assert lease.position == ""
        with (
            pytest.raises(LeaseHeld, match=f"another process is finishing {run_id}"),
            leased("another", ledger, run_id),
        ):
            pytest.fail("both have it")
        lease.note("the first index")
        assert lease.position == "the first index"
        assert not lease.reached
    with leased("another", ledger, run_id) as lease:
        assert lease.position == "the first index"


def test_a_position_is_on_record_at_once(ledger: RedisLedger, run_id: str) -> None:
    lease = leased("me", ledger, run_id)
    lease.__enter__()
    lease.note("there")
    assert ledger.acquire_finish_lease(run_id, "me", 0) == "there"
    lease._heartbeat.stop()


def test_what_is_shown_is_on_record(ledger: RedisLedger, run_id: str) -> None:
    asked = Event()

    def describe() -> str:
        asked.set()
        return "index 3 of 7"

    with leased("me", ledger, run_id) as lease:
        lease.show(describe)
        assert asked.wait(5)
        asked.clear()
    assert asked.is_set(), "once more at the end"
    assert ledger.progress(run_id).finishing == "index 3 of 7"


def test_time_that_is_up_ends_the_work(ledger: RedisLedger, run_id: str) -> None:
    with leased("me", ledger, run_id, seconds=0) as lease:
        assert lease.reached


def test_a_lost_lease_ends_the_work_and_overwrites_nothing(
    ledger: RedisLedger, run_id: str
) -> None:
    with leased("me", ledger, run_id) as lease:
        ledger.acquire_finish_lease(run_id, "me", 0)
        with leased("another", ledger, run_id) as theirs:
            theirs.note("theirs")
            lease.note("mine")
            assert lease.reached
            assert not theirs.reached
    assert ledger.acquire_finish_lease(run_id, "third", 5) == "theirs"


def test_a_heartbeat_keeps_the_lease(
    ledger: RedisLedger, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_HEARTBEAT_SECONDS", 0.01)
    texts = iter(f"step {number}" for number in range(10**6))
    with leased("me", ledger, run_id) as lease:
        lease.show(lambda: next(texts))
        before = ledger.progress(run_id).finishing
        deadline = time.monotonic() + 30
        while ledger.progress(run_id).finishing in (before, None) and time.monotonic() < deadline:
            Event().wait(0.01)
        assert (ledger.progress(run_id).finishing or "").startswith("step ")
        assert not lease.reached
