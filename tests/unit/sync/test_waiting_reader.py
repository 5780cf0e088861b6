"""A process leaves what it works on when nobody reads the source's changes."""

from __future__ import annotations

import fakeredis
import pytest

from dataworks_tasks.ledger.follow_gauge import FollowGauge
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.windows import DueStep
from dataworks_tasks.runs.driver_steps import FOLLOW
from dataworks_tasks.sync.waiting_reader import UNREAD_SECONDS, WaitingReader
from tests.contract.contract_support import migration_spec


@pytest.fixture
def run() -> tuple[RedisLedger, str]:
    ledger, spec = RedisLedger(fakeredis.FakeRedis()), migration_spec()
    ledger.create(spec, None)
    return ledger, spec.run_id


def read_ago(run: tuple[RedisLedger, str], seconds: float) -> None:
    windows = run[0].key_windows
    windows.note_following(run[1], FollowGauge(windows.now() - seconds, 0.0))


def test_a_reader_waits_that_nobody_runs(run: tuple[RedisLedger, str]) -> None:
    now = 0.0
    reader = WaitingReader(*run, clock=lambda: now)
    assert not reader.waits(), "every turn has some time"
    now = 0.3
    assert reader.waits(), "nobody has ever read"
    read_ago(run, 0.0)
    now = 10.0
    assert reader.waits(), "until the end of the turn"


def test_a_reader_does_not_wait_that_has_just_read(run: tuple[RedisLedger, str]) -> None:
    now = 0.0
    reader = WaitingReader(*run, clock=lambda: now)
    read_ago(run, UNREAD_SECONDS / 4)
    now = 0.3
    assert not reader.waits()
    read_ago(run, UNREAD_SECONDS * 2)
    now = 0.4
    assert not reader.waits(), "it looks twice a second"
    now = 0.9
    assert reader.waits()


def test_a_reader_does_not_wait_that_opens_a_stream(run: tuple[RedisLedger, str]) -> None:
    """A source that scans its log for the position needs minutes before the first change."""
    now = 0.0
    reader, step = WaitingReader(*run, clock=lambda: now), DueStep(run[1], FOLLOW)
    read_ago(run, 100.0)
    run[0].driver.hold(step, "fleet", "somebody", 60)
    now = 0.3
    assert not reader.waits()
    run[0].driver.hold(step, "fleet", "somebody", 0)
    now = 0.9
    assert reader.waits()
